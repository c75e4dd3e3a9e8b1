package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	bolt "go.etcd.io/bbolt"
)

// bbolt's page: id, flags, number of elements, pages that follow as its overflow;
// then 16 bytes for each element. Its numbers are in the machine's own order.
const (
	pageHead    = 16
	elementSize = 16

	branchPage = 0x01
	leafPage   = 0x02

	bucketLeaf = 0x01 // the element's value is the root of a bucket
)

// examineTree refuses a file whose pages lead in circles or out of the file. bbolt
// follows them without looking, and with a circle takes all memory there is:
// no panic that guard could catch. It reads the branches and the heads of the leaves.
func examineTree(tx *bolt.Tx, file io.ReaderAt) error {
	t := tree{file: file, pageSize: int64(tx.DB().Info().PageSize), known: map[uint64]bool{}}
	t.pages = uint64(tx.Size() / t.pageSize)
	var buckets []uint64
	err := t.walk(uint64(tx.Cursor().Bucket().Root()), func(page []byte) error {
		roots, err := bucketRoots(page)
		buckets = append(buckets, roots...)
		return err
	})
	for _, root := range buckets {
		if err == nil {
			err = t.walk(root, nil)
		}
	}
	return err
}

type tree struct {
	file     io.ReaderAt
	pageSize int64
	pages    uint64
	known    map[uint64]bool
}

// walk visits each page below root once, and gives leaf the whole of each leaf.
func (t *tree) walk(root uint64, leaf func(page []byte) error) error {
	for todo := []uint64{root}; len(todo) > 0; {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if id >= t.pages || t.known[id] {
			return fmt.Errorf("page %d: %w", id, errDamaged)
		}
		t.known[id] = true
		head, err := t.read(id, pageHead)
		if err != nil {
			return err
		}
		size := t.pageSize * (1 + int64(binary.NativeEndian.Uint32(head[12:])))
		elements := pageHead + elementSize*int64(binary.NativeEndian.Uint16(head[10:]))
		flags := binary.NativeEndian.Uint16(head[8:])
		switch {
		case elements > size || size > int64(t.pages-id)*t.pageSize:
			return fmt.Errorf("page %d: %w", id, errDamaged)
		case flags == branchPage:
			page, err := t.read(id, elements)
			if err != nil {
				return err
			}
			for at := int64(pageHead); at < elements; at += elementSize {
				todo = append(todo, binary.NativeEndian.Uint64(page[at+8:]))
			}
		case flags != leafPage:
			return fmt.Errorf("page %d: %w", id, errDamaged)
		case leaf != nil:
			page, err := t.read(id, size)
			if err != nil {
				return err
			}
			if err := leaf(page); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *tree) read(id uint64, size int64) ([]byte, error) {
	b := make([]byte, size)
	_, err := t.file.ReadAt(b, int64(id)*t.pageSize)
	if errors.Is(err, io.EOF) {
		err = errDamaged
	}
	if err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	return b, nil
}

// bucketRoots are the first pages of the buckets that a leaf names. A small bucket
// lives inside the leaf and has none.
func bucketRoots(page []byte) ([]uint64, error) {
	var roots []uint64
	for n := range int(binary.NativeEndian.Uint16(page[10:])) {
		at := pageHead + elementSize*n
		e := page[at : at+elementSize]
		if binary.NativeEndian.Uint32(e)&bucketLeaf == 0 {
			continue
		}
		value := uint64(at) + uint64(binary.NativeEndian.Uint32(e[4:])) + uint64(binary.NativeEndian.Uint32(e[8:]))
		if value+8 > uint64(len(page)) {
			return nil, errDamaged
		}
		if root := binary.NativeEndian.Uint64(page[value:]); root != 0 {
			roots = append(roots, root)
		}
	}
	return roots, nil
}
