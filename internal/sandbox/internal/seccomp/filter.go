//go:build linux && (amd64 || arm64 || riscv64)

// Package seccomp makes the kernel refuse system calls that a command in a box
// has no business with.
//
// A [Policy] is data: which calls are treated otherwise than being allowed, by
// number and, for some, by the low 32 bits of their arguments. That is what the
// kernel looks at where a call takes an int, and comparing all 64 bits would let
// a caller slip past with any bit set above. [Compile] turns a policy into the
// program that the kernel runs at every call, and [Policy.Decide] says in Go
// what that program must answer, which is how the tests know.
package seccomp

import (
	"cmp"
	"slices"

	"golang.org/x/sys/unix"
)

// Answer is what the kernel does about a call.
type Answer uint32

const (
	Allow Answer = unix.SECCOMP_RET_ALLOW
	Kill  Answer = unix.SECCOMP_RET_KILL_PROCESS
)

// Fail lets the call return an error without doing anything.
func Fail(errno unix.Errno) Answer { return unix.SECCOMP_RET_ERRNO | Answer(errno) }

// Policy says how calls are answered.
type Policy struct {
	Arch   uint32 // AUDIT_ARCH_*; any other is killed
	Newest uint32 // numbers above did not exist when the policy was written, and do not; x32 is up there
	Rules  []Rule // at most one for each call; the others are allowed
}

// Rule is how one call is answered: by the first case that holds, else by Else.
type Rule struct {
	Call  uint32
	Cases []Case
	Else  Answer
}

// Case holds when all its conditions do.
type Case struct {
	When []Cond
	Then Answer
}

// Cond compares the low 32 bits of an argument with a value, or, for a mask,
// holds when any of its bits is set. High looks at the other 32, which count where
// a call takes an address.
type Cond struct {
	Arg   int
	Value uint32
	Mask  bool
	High  bool
}

// Call is what the kernel shows of a system call.
type Call struct {
	Number, Arch uint32
	Args         [6]uint64
}

// Decide answers a call by the policy.
func (p Policy) Decide(c Call) Answer {
	switch {
	case c.Arch != p.Arch:
		return Kill
	case c.Number > p.Newest:
		return Fail(unix.ENOSYS)
	}
	i := slices.IndexFunc(p.Rules, func(r Rule) bool { return r.Call == c.Number })
	if i < 0 {
		return Allow
	}
	for _, a := range p.Rules[i].Cases {
		if a.holds(c) {
			return a.Then
		}
	}
	return p.Rules[i].Else
}

func (a Case) holds(c Call) bool {
	return !slices.ContainsFunc(a.When, func(w Cond) bool {
		half := uint32(c.Args[w.Arg])
		if w.High {
			half = uint32(c.Args[w.Arg] >> 32)
		}
		return w.Mask && half&w.Value == 0 || !w.Mask && half != w.Value
	})
}

// Offsets in struct seccomp_data. Arguments are little-endian on every machine
// that this package is built for, so the low half comes first.
const (
	offNumber = 0
	offArch   = 4
	offArgs   = 16
)

// offset is where the half of the argument is.
func (w Cond) offset() uint32 {
	at := offArgs + 8*uint32(w.Arg)
	if w.High {
		at += 4
	}
	return at
}

func load(offset uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
}

func answer(a Answer) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: uint32(a)}
}

// unless jumps over the next n instructions when the comparison fails.
func unless(op uint16, k uint32, n int) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | op | unix.BPF_K, Jf: uint8(n), K: k}
}

// Compile writes the program. The kernel runs it once for each number there is, to
// remember which it allows whatever the arguments, and then only for the others:
// that is what a start takes of it, and why rules are found by halves.
func Compile(p Policy) []unix.SockFilter {
	rules := slices.SortedFunc(slices.Values(p.Rules), func(a, b Rule) int { return cmp.Compare(a.Call, b.Call) })
	return append([]unix.SockFilter{
		load(offArch),
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 1, K: p.Arch},
		answer(Kill),
		load(offNumber),
		unless(unix.BPF_JGT, p.Newest, 1), answer(Fail(unix.ENOSYS)),
	}, search(rules)...)
}

// search writes what finds the rule of a call, in their order, and it always answers.
func search(rules []Rule) (code []unix.SockFilter) {
	const few = 4 // that are compared one after the other
	if len(rules) > few {
		half := len(rules) / 2
		below := search(rules[:half])
		code = append(code,
			unless(unix.BPF_JGE, rules[half].Call, 1),
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JA, K: uint32(len(below))}) // farther than a comparison can jump
		return slices.Concat(code, below, search(rules[half:]))
	}
	for _, r := range rules {
		body := r.compile()
		code = append(code, unless(unix.BPF_JEQ, r.Call, len(body)))
		code = append(code, body...)
	}
	return append(code, answer(Allow))
}

// compile writes what runs for the call of the rule; it always answers.
func (r Rule) compile() (code []unix.SockFilter) {
	for _, c := range r.Cases {
		for i, w := range c.When {
			op := uint16(unix.BPF_JEQ)
			if w.Mask {
				op = unix.BPF_JSET
			}
			rest := 2*(len(c.When)-i-1) + 1
			code = append(code, load(w.offset()), unless(op, w.Value, rest))
		}
		code = append(code, answer(c.Then))
	}
	return append(code, answer(r.Else))
}
