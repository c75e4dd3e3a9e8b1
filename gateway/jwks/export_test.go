package jwks

// Absent returns how many keys are remembered as absent.
func (s *Source) Absent() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.absent)
}

// ClassOf returns the class under which a failure is reported.
func ClassOf(err error) string { return classOf(err) }
