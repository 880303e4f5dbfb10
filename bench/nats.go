package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// natsPeer has one stream, and a subject for each channel.
type natsPeer struct {
	cmd  *exec.Cmd
	url  string
	conn *nats.Conn
	js   jetstream.JetStream
}

// serveNATS is the server's process.
func serveNATS(ctx context.Context, dir string) error {
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: dir, SyncAlways: true, NoSigs: true, NoLog: true, MaxConn: 5000,
		// By default a stream has 1,000 consumers, and those of clients that have gone
		// away stay for five minutes: too few for clients that come again.
		JetStreamLimits: server.JSLimitOpts{DefaultMaxConsumers: 100_000},
	})
	if err != nil {
		return err
	}
	s.Start()
	if !s.ReadyForConnections(20 * time.Second) {
		return errors.New("the NATS server does not start")
	}
	fmt.Println(s.ClientURL())
	<-ctx.Done()
	s.Shutdown()
	return nil
}

func openNATS(ctx context.Context, dir string) (Peer, error) {
	var err error
	p := &natsPeer{}
	if p.cmd, p.url, err = child("-serve-nats", filepath.Join(dir, "nats")); err != nil {
		return nil, err
	}
	p.conn, err = nats.Connect(p.url)
	if err == nil {
		p.js, err = jetstream.New(p.conn, jetstream.WithPublishAsyncMaxPending(1000))
	}
	if err == nil {
		_, err = p.js.CreateStream(ctx, jetstream.StreamConfig{Name: "LOG", Subjects: []string{"log.>"}, Storage: jetstream.FileStorage})
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

func (p *natsPeer) Version() string {
	return "NATS JetStream " + server.VERSION + ", sync always; each subscriber an ordered consumer on a connection of its own"
}
func (p *natsPeer) PID() int { return p.cmd.Process.Pid }

func (p *natsPeer) Close() {
	if p.conn != nil {
		p.conn.Close()
	}
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

func (p *natsPeer) Channel(context.Context, string) error { return nil }

func (p *natsPeer) Append(ctx context.Context, channel, payload string) error {
	_, err := p.js.Publish(ctx, "log."+channel, []byte(payload))
	return err
}

func (p *natsPeer) Fill(ctx context.Context, channel string, payloads []string) error {
	sent := make([]jetstream.PubAckFuture, len(payloads))
	for i, text := range payloads {
		var err error
		if sent[i], err = p.js.PublishAsync("log."+channel, []byte(text)); err != nil {
			return err
		}
	}
	for _, f := range sent {
		select {
		case <-f.Ok():
		case err := <-f.Err():
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (p *natsPeer) Subscribe(ctx context.Context, channel, after string, ready func(), deliver func([]byte, string) bool) error {
	conn, err := nats.Connect(p.url)
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	from := jetstream.OrderedConsumerConfig{FilterSubjects: []string{"log." + channel}, DeliverPolicy: jetstream.DeliverAllPolicy}
	switch after {
	case "":
	case End:
		from.DeliverPolicy = jetstream.DeliverNewPolicy
	default:
		n, err := strconv.ParseUint(after, 10, 64)
		if err != nil {
			return err
		}
		from.DeliverPolicy, from.OptStartSeq = jetstream.DeliverByStartSequencePolicy, n+1
	}
	consumer, err := js.OrderedConsumer(ctx, "LOG", from)
	if err != nil {
		return err
	}
	messages, err := consumer.Messages()
	if err != nil {
		return err
	}
	defer messages.Stop()
	defer context.AfterFunc(ctx, messages.Stop)()
	ready()
	for {
		m, err := messages.Next()
		if err != nil {
			return err
		}
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		if !deliver(m.Data(), strconv.FormatUint(meta.Sequence.Stream, 10)) {
			return nil
		}
	}
}
