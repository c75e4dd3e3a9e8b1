package config

func (k *checker) assertions() {}
