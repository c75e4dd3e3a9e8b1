package admin

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/sallyport/sallyport/gateway/httperr"
)

// maxJobs is how many jobs are remembered.
const maxJobs = 64

// jobs are what operators have asked for by a page and what may take long. They go on
// when the page is closed, and can be looked at afterwards.
type jobs struct {
	mu   sync.Mutex
	last uint64
	by   map[uint64]*job
}

type job struct {
	number uint64
	what   string
	began  time.Time
	done   chan struct{}
	took   time.Duration // from here on: read after done
	count  int
	err    error
}

// jobState is a job as a page shows it.
type jobState struct {
	What    string
	Running bool
	Began   time.Time
	Took    time.Duration
	Count   int
	Err     error
}

// start works on something in the background, for revokeTimeout at most.
func (j *jobs) start(ctx context.Context, what string, work func(context.Context) (int, error)) *job {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.by == nil {
		j.by = map[uint64]*job{}
	}
	j.last++
	one := &job{number: j.last, what: what, began: time.Now(), done: make(chan struct{})}
	j.by[one.number] = one
	delete(j.by, j.last-maxJobs)
	go func() {
		ctx, cancel := context.WithTimeout(ctx, revokeTimeout)
		defer cancel()
		defer close(one.done)
		one.count, one.err = work(ctx)
		one.took = time.Since(one.began)
	}()
	return one
}

func (j *jobs) find(number uint64) *job {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.by[number]
}

// patient waits for the job, but not for long.
func (j *job) patient(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-j.done:
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (j *job) state(now time.Time) *jobState {
	select {
	case <-j.done:
		return &jobState{What: j.what, Began: j.began, Took: j.took, Count: j.count, Err: j.err}
	default:
		return &jobState{What: j.what, Began: j.began, Took: now.Sub(j.began), Running: true}
	}
}

func noSuchJob() error {
	return &httperr.Error{Code: http.StatusNotFound, Reason: "no_route", Public: "Nothing is known of this any more."}
}
