//go:build unix

package main

import (
	"fmt"
	"os"
	"syscall"
)

// keepOwner gives a file that takes another one's place its owner. Whose it was
// could not read it otherwise, which nobody would notice before the next start.
func keepOwner(f *os.File, of os.FileInfo) error {
	owner, ok := of.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	uid, gid := int(owner.Uid), int(owner.Gid)
	if err := f.Chown(uid, gid); err != nil {
		return fmt.Errorf("%s belongs to user %d and group %d, to whom a new file can't be given: %w", of.Name(), uid, gid, err)
	}
	return nil
}
