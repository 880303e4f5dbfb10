// Package limit bounds how often somebody may ask, and how much is asked at once.
// [Limiter] keeps token buckets; [Gate] lets in only so many at a time.
//
// # Promises
//
//   - A request draws on all of its buckets or on none, and one that is refused
//     draws on none: who asks too often is let in as soon as who waits would be.
//   - What a bucket lets through in any span of time is at most its burst and what
//     its rate fills meanwhile. Several processes that share buckets are held to that
//     together; while what they share is away, each is by itself.
//   - Everything is bounded: of the buckets the ones that were used last are kept.
//     One that is forgotten is full again, so that nobody is locked out by others.
//   - Asking takes no longer than the little time that what is shared may take.
package limit
