package assertion

// Kept is how many assertions the cache holds.
func (m *Minter) Kept() int {
	n := 0
	for i := range m.cache.shards {
		s := &m.cache.shards[i]
		s.mu.Lock()
		n += len(s.young) + len(s.old)
		s.mu.Unlock()
	}
	return n
}
