// Package redis has several processes share what a router keeps: answers, and
// the buckets of limits.
//
// Redis is a help, never a need. Every exchange with it has a time-out of its
// own, a tenth of a second unless said otherwise. After three failures in a row
// it is left alone for a second, twice as long each time, up to half a minute;
// then one exchange finds out. While it is away no answer is found or kept, and
// limits hold for each process alone. The log says once that it went and once
// that it came back; the counter mgx.llm.redis.exchanges says the rest.
//
// Nothing that Redis says is trusted. An answer is taken only if it is whole and
// was kept under this key by this version; replies have bounds before they are
// read. What is kept expires: answers when their time is up, buckets when they
// are full.
//
// Keys begin with "mgx:". Installations that share one Redis need a database
// number each.
package redis
