package admin

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/sallyport/sallyport/gateway/httperr"
)

const (
	// maxJobs is how many jobs are remembered.
	maxJobs = 64
	// jobPatience is how long a form waits for its job, so that what is quickly done is
	// shown as done at once.
	jobPatience = time.Second
)

// Jobs are what operators have asked for by a page and what may take long. They go on
// when the page is closed or the configuration is exchanged, and can be looked at
// afterwards. The zero value is none; they are safe for concurrent use.
type Jobs struct {
	mu   sync.Mutex
	last uint64
	by   map[uint64]*job
}

// task is what a job works on.
type task struct {
	title string // of its page
	what  string // begins a sentence
	home  string // the page that it was asked for on
	// work returns sentences about what it did. Of an error that is not of package
	// httperr it is said that the store does not answer.
	work func(ctx context.Context) ([]string, error)
	// otherwise is offered where work returned an error of this reason.
	otherwise *jobAction
}

// jobAction is a form of one button.
type jobAction struct {
	Reason string
	Path   string
	Name   string
	Fields [][2]string
}

type job struct {
	task
	number uint64
	began  time.Time
	done   chan struct{}
	told   []string // from here on: read after done
	err    error
}

// jobState is a job as a page shows it.
type jobState struct {
	What, Home string
	Running    bool
	Began      time.Time
	Told       []string
	Problem    string
	Otherwise  *jobAction
}

// start works on something in the background, for revokeTimeout at most, and returns
// where that is shown.
func (j *Jobs) start(ctx context.Context, t task) (path string) {
	one := &job{task: t, began: time.Now(), done: make(chan struct{})}
	j.mu.Lock()
	if j.by == nil {
		j.by = map[uint64]*job{}
	}
	j.last++
	one.number = j.last
	j.by[one.number] = one
	delete(j.by, j.last-maxJobs)
	j.mu.Unlock()
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokeTimeout)
		defer cancel()
		defer close(one.done)
		one.told, one.err = t.work(ctx)
	}()
	one.patient(ctx)
	return t.home + "/job/" + strconv.FormatUint(one.number, 10)
}

func (j *Jobs) find(number uint64) *job {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.by[number]
}

// page shows the jobs that were asked for on one page.
func (j *Jobs) page(home string) Page {
	return Page{Path: home + "/job/{job}", Show: func(r *http.Request) (*View, error) {
		number, err := strconv.ParseUint(r.PathValue("job"), 10, 64)
		one := j.find(number)
		if err != nil || one == nil || one.home != home {
			return nil, &httperr.Error{Code: http.StatusNotFound, Reason: "no_route", Public: "Nothing is known of this any more."}
		}
		s := one.state()
		return &View{Title: one.title, File: "job", Live: s.Running, Data: s}, nil
	}}
}

func (j *job) patient(ctx context.Context) {
	timer := time.NewTimer(jobPatience)
	defer timer.Stop()
	select {
	case <-j.done:
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (j *job) state() *jobState {
	s := &jobState{What: j.what, Home: j.home, Began: j.began}
	select {
	case <-j.done:
	default:
		s.Running = true
		return s
	}
	s.Told = j.told
	if j.err == nil {
		return s
	}
	s.Problem = "The store does not answer, so it is not known whether all of it was done. Try again."
	if e, ok := errors.AsType[*httperr.Error](j.err); ok {
		s.Problem = e.Public
		if j.otherwise != nil && e.Reason == j.otherwise.Reason {
			s.Otherwise = j.otherwise
		}
	}
	return s
}
