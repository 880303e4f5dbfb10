package main

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// redisPeer has a stream for each channel.
type redisPeer struct {
	server  *exec.Cmd
	socket  string
	client  *redis.Client
	version string
}

func openRedis(ctx context.Context, dir string) (Peer, error) {
	p := &redisPeer{}
	at, err := freeAddress()
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(at)
	p.socket = at
	p.server = exec.Command("redis-server", "--bind", "127.0.0.1", "--port", port, "--dir", dir, "--appendonly", "yes", "--appendfsync", "always",
		"--save", "", "--maxclients", "5000", "--daemonize", "no")
	if err := p.server.Start(); err != nil {
		return nil, fmt.Errorf("%w (Debian: apt-get install redis-server)", err)
	}
	p.client = redis.NewClient(&redis.Options{Addr: p.socket, PoolSize: 64, MaxRetries: -1})
	for range 200 {
		info, err := p.client.Info(ctx, "server").Result()
		if err == nil {
			_, rest, _ := strings.Cut(info, "redis_version:")
			p.version, _, _ = strings.Cut(rest, "\r")
			return p, nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	p.Close()
	return nil, fmt.Errorf("redis-server does not answer")
}

// freeAddress is one where nothing listens just now.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func (p *redisPeer) Version() string { return "Redis " + p.version + " Streams, appendfsync always" }
func (p *redisPeer) PID() int        { return p.server.Process.Pid }

func (p *redisPeer) Close() {
	p.client.Close()
	p.server.Process.Kill()
	p.server.Wait()
}

func (p *redisPeer) Channel(context.Context, string) error { return nil }

func (p *redisPeer) Append(ctx context.Context, channel, payload string) error {
	return p.client.XAdd(ctx, &redis.XAddArgs{Stream: channel, Values: []string{"text", payload}}).Err()
}

func (p *redisPeer) Fill(ctx context.Context, channel string, payloads []string) error {
	_, err := p.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, text := range payloads {
			pipe.XAdd(ctx, &redis.XAddArgs{Stream: channel, Values: []string{"text", text}})
		}
		return nil
	})
	return err
}

func (p *redisPeer) Subscribe(ctx context.Context, channel, after string, ready func(), deliver func([]byte, string) bool) error {
	own := redis.NewClient(&redis.Options{Addr: p.socket, PoolSize: 1, MaxRetries: -1, ReadTimeout: -1, ContextTimeoutEnabled: true})
	defer own.Close()
	switch after {
	case "":
		after = "0"
	case End:
		after = "0" // "$" would lose what comes between two reads
		if last, err := own.XRevRangeN(ctx, channel, "+", "-", 1).Result(); err == nil && len(last) == 1 {
			after = last[0].ID
		}
	}
	ready()
	for {
		got, err := own.XRead(ctx, &redis.XReadArgs{Streams: []string{channel, after}, Count: 512, Block: time.Second}).Result()
		if err == redis.Nil {
			continue
		}
		if err != nil {
			return err
		}
		for _, m := range got[0].Messages {
			after = m.ID
			text, _ := m.Values["text"].(string)
			if !deliver([]byte(text), m.ID) {
				return nil
			}
		}
	}
}
