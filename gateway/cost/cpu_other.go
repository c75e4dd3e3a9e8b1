//go:build !unix

package cost

import "time"

const clockName = "elapsed time: this system does not tell CPU time"

// cpuTime is elapsed time where there is nothing better.
func cpuTime() time.Duration { return time.Duration(time.Now().UnixNano()) }
