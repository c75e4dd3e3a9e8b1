package cost

import (
	"runtime"
	"slices"
	"time"
)

// probe is one function that is timed.
type probe struct {
	do    func() error
	n     int       // calls a round
	nanos []float64 // CPU for one call, one value a round
}

// run times all probes in turns, so that a disturbance of some milliseconds hits
// one round of each and not all rounds of one. It returns how many rounds there
// were: fewer on a machine that is busy with other things, but three.
func run(probes []*probe, o Options) (rounds int, err error) {
	start := time.Now()
	for _, p := range probes {
		if err := p.calibrate(o.Round); err != nil {
			return 0, err
		}
	}
	for rounds < o.Rounds && (rounds < 3 || time.Since(start) < o.Patience) {
		runtime.GC() // what came before is not the first one's cost
		for _, p := range probes {
			took, err := p.time()
			if err != nil {
				return rounds, err
			}
			p.nanos = append(p.nanos, took)
		}
		rounds++
	}
	return rounds, nil
}

// calibrate finds how many calls fill a round. It doubles as the warm-up. Twice
// in a row they must fill it: once may have been the garbage collection, and a
// round of few calls would measure little else ever after.
func (p *probe) calibrate(each time.Duration) error {
	p.n = 1
	for filled := 0; filled < 2; {
		nanos, err := p.time()
		switch {
		case err != nil:
			return err
		case nanos*float64(p.n) >= float64(each)/2:
			filled++
		default:
			p.n, filled = p.n*2, 0
		}
	}
	return nil
}

// time returns the CPU that one call took, garbage collection included.
func (p *probe) time() (nanos float64, err error) {
	start := cpuTime()
	for range p.n {
		if err := p.do(); err != nil {
			return 0, err
		}
	}
	return float64(cpuTime()-start) / float64(p.n), nil
}

func (p *probe) median() float64 { return median(p.nanos) }

// median sorts its argument.
func median(values []float64) float64 {
	slices.Sort(values)
	half := len(values) / 2
	if len(values)%2 == 1 {
		return values[half]
	}
	return (values[half-1] + values[half]) / 2
}

// medianOf calls do n times.
func medianOf(n int, do func() (time.Duration, error)) (time.Duration, error) {
	values := make([]float64, n)
	for i := range values {
		took, err := do()
		if err != nil {
			return 0, err
		}
		values[i] = float64(took)
	}
	return time.Duration(median(values)), nil
}
