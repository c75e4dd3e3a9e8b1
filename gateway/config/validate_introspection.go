package config

func (k *checker) introspection() {}
