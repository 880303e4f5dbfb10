package guard

import "strings"

// Bounds of a line of a dump.
const (
	leastOffset = 4  // digits, of curl; others have 7 or 8
	mostOffset  = 16 // of 64 bits
	mostInLine  = 16 // bytes, as all programs have them unless they are told another number
	longestLine = 200
)

// dumped has the bytes of the lines of dumps: an offset, bytes in hexadecimal, alone or
// in groups, and mostly what can be printed of them, as xxd, hexdump -C, od -tx1,
// curl --trace, tcpdump -X and Go's hex.Dump write. In swapped ones, of hexdump and od -x,
// groups are numbers of two bytes, the lower one first.
//
// A line is hidden as a whole, since its bytes stand in it twice.
func dumped(s string, swapped bool) *view {
	v := &view{begun: len(s), ends: []int{}}
	var b strings.Builder
	for at := 0; at < len(s); {
		end := strings.IndexByte(s[at:], '\n')
		ended := end >= 0
		if end += at; !ended {
			end = len(s)
		}
		bytes, more := dumpLine(s[at:end], swapped)
		if !ended && more {
			v.begun, v.open = at, len(bytes)
		}
		if len(bytes) > 0 {
			v.turns, v.ends = append(v.turns, turn{b.Len(), at}), append(v.ends, end)
			b.Write(bytes)
		}
		at = end + 1
	}
	if v.text = b.String(); v.text == "" && v.begun == len(s) {
		return nil
	}
	return v
}

// dumpLine are the bytes of a line of a dump, none if it is not one; and whether it may
// be, or is, one to which more is still to come.
func dumpLine(line string, swapped bool) (bytes []byte, more bool) {
	if len(line) > longestLine {
		return nil, false
	}
	rest := strings.TrimPrefix(strings.TrimLeft(line, " \t"), "0x")
	offset := strings.TrimLeft(rest, "0123456789abcdefABCDEF")
	switch n := len(rest) - len(offset); {
	case offset == "" && n <= mostOffset:
		return nil, true // it is all there is of the line
	case n < leastOffset || n > mostOffset:
		return nil, false
	}
	rest = strings.TrimPrefix(offset, ":")
	if rest == "" {
		return nil, true
	}
	width := 0 // digits of the first group; the last one may have less
	for len(bytes) < mostInLine {
		group := strings.TrimLeft(rest, " ")
		apart := len(rest) - len(group)
		if group == "" {
			return bytes, true
		}
		n := 0
		for n < len(group) && digits[group[n]] >= 0 {
			n++
		}
		if width == 0 {
			width = n
		}
		if apart == 0 || apart > 2 && len(bytes) > 0 || n == 0 || n%2 != 0 && n < len(group) || n > min(width, 2*mostInLine) || swapped && n != 4 {
			break
		}
		first := len(bytes)
		for i := 0; i+1 < n; i += 2 {
			bytes = append(bytes, byte(digit(group[i])<<4|digit(group[i+1])))
		}
		if swapped {
			bytes[first], bytes[first+1] = bytes[first+1], bytes[first]
		}
		rest = group[n:]
	}
	return bytes, len(bytes) > 0
}
