import assert from "node:assert/strict";
import { after, before, describe, it, type TestContext } from "node:test";
import { EventClient, EventError, LostError, ProblemError, ResetError, type ClientOptions, type EventOf, type State, type Subscription } from "../src/index.js";
import fixtures from "./fixtures.gen.json" with { type: "json" };
import { FakeServer, type LogEvent } from "./server.js";

const examples = fixtures as LogEvent[];
const WebSocket = globalThis.WebSocket;

/** So many events of many types. */
function events(n: number): LogEvent[] {
  return Array.from({ length: n }, (_, i) => examples[i % examples.length]!);
}

/** Random numbers that are the same each time. */
function seeded(seed: number): () => number {
  return () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
}

async function start(t: TestContext, options: Partial<ClientOptions>): Promise<[FakeServer, EventClient]> {
  const server = await FakeServer.start();
  const client = new EventClient({ url: server.url, token: server.token, backoff: { first: 1, last: 4 }, ...options });
  t.after(async () => {
    client.close();
    await server.close();
  });
  return [server, client];
}

async function take<E extends { position: number }>(subscription: AsyncIterable<E>, n: number): Promise<E[]> {
  const all: E[] = [];
  for await (const event of subscription) {
    all.push(event);
    if (all.length === n) break;
  }
  return all;
}

function positions(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

async function until(what: () => boolean): Promise<void> {
  while (!what()) await new Promise((resolve) => setImmediate(resolve));
}

for (const transport of ["sse", "websocket"] as const) {
  describe(transport, { skip: transport === "websocket" && !WebSocket ? "this Node has no WebSocket, also not behind --experimental-websocket" : false }, () => {
    const options = { transport };

    it("delivers each event once and in order, whatever happens to connections", async (t) => {
      const [server, client] = await start(t, options);
      const random = seeded(7);
      const n = 400;
      server.append(...events(n / 2));
      for (let i = 0; i < 60; i++) {
        const fault = [{ cutAfter: Math.floor(random() * 20) }, { status: transport === "sse" ? 503 : 1012 }, { again: 5, cutAfter: 12 }, { bytes: true, cutAfter: 9 }][Math.floor(random() * 4)]!;
        server.faults.push(fault);
      }
      const subscription = client.subscribe({ after: 0 });
      const seen: number[] = [];
      for await (const event of subscription) {
        seen.push(event.position);
        if (seen.length % 20 === 0 && server.head < n) server.append(...events(25));
        if (seen.length === 130) server.drop();
        if (event.position === n) break;
      }
      assert.deepEqual(seen, positions(1, n));
      assert.ok(subscription.stats.duplicates > 0, "nothing came twice: the faults did nothing");
      assert.ok(subscription.stats.connections > 20);
    });

    it("goes on after the last event that the loop was through with", async (t) => {
      const [server, client] = await start(t, options);
      server.append(...events(20));
      let subscription = client.subscribe({ after: 0, buffer: 5 });
      const first = await take(subscription, 7); // leaves the loop with the 7th in hand
      assert.equal(subscription.resume, "token-6");
      subscription = client.subscribe({ resume: subscription.resume! });
      const rest = await take(subscription, 14);
      assert.deepEqual([...first.map((e) => e.position), ...rest.map((e) => e.position)], [...positions(1, 7), ...positions(7, 20)]);
    });

    it("begins with what is new, and resumes there when cut off before the first event", async (t) => {
      const [server, client] = await start(t, options);
      server.append(...events(3));
      server.faults.push({ cutAfter: 1 });
      const subscription = client.subscribe();
      await until(() => subscription.state === "live");
      server.append(...events(1)); // in which the connection is cut
      server.append(...events(1));
      assert.deepEqual((await take(subscription, 2)).map((e) => e.position), [4, 5]);
    });

    it("keeps a bounded number of events, also while there is no connection", async (t) => {
      const [server, client] = await start(t, options);
      server.append(...events(30));
      server.faults = [{ cutAfter: 9 }, ...Array.from({ length: 20 }, () => ({ cutAfter: 0 }))]; // 8 events, then none for long
      const states: State[] = [];
      const subscription = client.subscribe({ after: 0, buffer: 10, onState: (state) => states.push(state) });
      await until(() => subscription.stats.connections > 3);
      assert.equal(subscription.stats.received, 8);
      const seen = [];
      let most = 0;
      for await (const event of subscription) {
        seen.push(event.position);
        if (seen.length === 8) assert.ok(server.faults.length > 0, "there was a connection again");
        await new Promise((resolve) => setImmediate(resolve));
        most = Math.max(most, subscription.stats.received - seen.length);
        if (seen.length === 30) break;
      }
      assert.deepEqual(seen, positions(1, 30));
      assert.ok(most > 5 && most <= 10, `${most} events were waiting`);
      assert.ok(states.includes("waiting") && states.at(-1) === "closed");
    });

    it("subscribes and unsubscribes by type", async (t) => {
      const [server, client] = await start(t, options);
      server.append(...events(examples.length));
      const tasks = await take(client.subscribe({ types: ["task.*"], after: 0 }), 5);
      assert.ok(tasks.every((e) => e.event_type.startsWith("task.")));
      const heard: EventOf<"run.noted">[] = [];
      const listener = client.on("run.noted", (event) => heard.push(event), { after: 0 });
      await until(() => heard.length === 1);
      assert.equal(heard[0]!.data.level, "warning");
      listener.stop();
      await listener.done;
      await until(() => server.open === 0);
      server.append(...events(examples.length));
      assert.equal(heard.length, 1);
    });

    it("throws what a position that is gone means, or begins anew where it is told to", async (t) => {
      const [server, client] = await start(t, options);
      server.append(...events(9));
      server.faults.push({ reset: "other_epoch" });
      await assert.rejects(take(client.subscribe({ resume: "token-500" }), 1), (error) => error instanceof ResetError && error.reason === "other_epoch" && error.head === 9);

      server.faults.push({ cutAfter: 5 }, { reset: "too_old" });
      const anew = await take(client.subscribe({ after: 3, onReset: () => "earliest" }), 4 + 9);
      assert.deepEqual(anew.map((e) => e.position), [...positions(4, 7), ...positions(1, 9)]);

      server.faults.push({ reset: "too_old" });
      const subscription = client.subscribe({ resume: "token-1", onReset: () => "head" });
      await until(() => subscription.state === "live");
      server.append(...events(1));
      assert.deepEqual((await take(subscription, 1)).map((e) => e.position), [10]);
    });

    it("does not try again what is refused", async (t) => {
      const [server, client] = await start(t, { ...options, token: () => Promise.resolve("wrong") });
      const subscription = client.subscribe();
      await assert.rejects(take(subscription, 1), (error) => error instanceof EventError && !(error instanceof LostError));
      assert.equal(server.connections, 1);
      assert.equal(subscription.state, "closed");
    });

    it("does not go on behind a gap", async (t) => {
      const [server, client] = await start(t, options);
      server.append(...events(10));
      server.faults.push({ cutAfter: 4 }, { skip: 2 });
      const reasons: unknown[] = [];
      const subscription = client.subscribe({ after: 0, onState: (state, reason) => state === "waiting" && reasons.push(reason) });
      assert.deepEqual((await take(subscription, 10)).map((e) => e.position), positions(1, 10));
      assert.match(String(reasons[1]), /although 3 was received last/);
    });

    it("validates events, and lets types pass that it does not know", async (t) => {
      const [server, client] = await start(t, options);
      const good = examples.find((e) => e.event_type === "run.noted")!;
      server.append(good, { ...good, event_id: "evt_1" }, { ...good, version: "9.0.0" }, { ...good, event_type: "run.imagined" });
      await assert.rejects(take(client.subscribe({ after: 0 }), 4), /event_id does not have its form/);
      const wrong: string[] = [];
      const subscription = client.subscribe({ after: 0, onInvalid: (error) => wrong.push(error.message) });
      assert.deepEqual((await take(subscription, 2)).map((e) => e.event_type), ["run.noted", "run.imagined"]);
      assert.equal(wrong.length, 2);
      assert.match(wrong[1]!, /another major version/);
      const pinned = await take(client.subscribe({ after: 2, versions: ["run.noted@9"] }), 2);
      assert.equal(pinned[0]!.version, "9.0.0");
    });

    it("leaves out what was erased, and goes on behind it", async (t) => {
      const [server, client] = await start(t, options);
      const good = events(1)[0]!;
      const erased = { ...good, data: { erased: true } };
      server.append(good, erased, { ...erased, version: "9.0.0" }, good, good);
      const heard: number[] = [];
      const subscription = client.subscribe({ after: 0, onErased: (event) => heard.push(event.position) });
      const seen: unknown[] = [];
      for await (const event of subscription) {
        seen.push(event.position);
        if (event.position === 5) break;
        if (event.position === 1) await until(() => subscription.stats.received === 3);
      }
      assert.deepEqual([seen, heard, subscription.resume], [[1, 4, 5], [2, 3], "token-4"]);
    });

    it("moves on with checkpoints, and shows what is live", async (t) => {
      const [server, client] = await start(t, options);
      const live: string[] = [];
      const subscription = client.subscribe({ live: (piece) => live.push(piece.text ?? "") });
      await until(() => subscription.state === "live");
      server.say({ type: "live", workspace_id: "ws_default", run_id: "run_1", text: "hello" });
      server.say({ type: "of the future" });
      server.say({ type: "checkpoint", position: 0, resume: "token-0c" });
      await until(() => subscription.resume === "token-0c");
      assert.deepEqual(live, ["hello"]);
      server.append(...events(1)); // which waits when the checkpoint comes
      server.say({ type: "checkpoint", position: 1, resume: "token-1c" });
      server.append(...events(1));
      await take(subscription, 2);
      assert.equal(subscription.resume, "token-1c");
    });

    it("ends when it is closed, also while it waits", async (t) => {
      const [server, client] = await start(t, options);
      const subscription = client.subscribe();
      const loop = take(subscription, 1);
      await until(() => subscription.state === "live");
      subscription.close();
      assert.deepEqual(await loop, []);
      await until(() => server.open === 0);
      await assert.rejects(take(subscription, 1), /one loop/);
    });

    it("throws what a listener throws", async (t) => {
      const [server, client] = await start(t, options);
      server.append(...events(3));
      await assert.rejects(client.on("*", () => Promise.reject(new Error("mine")), { after: 0 }).done, /mine/);
    });
  });
}

describe("sse", () => {
  it("ends when the server says that nothing will follow", async (t) => {
    const [server, client] = await start(t, { transport: "sse" });
    server.faults.push({ status: 204 });
    assert.deepEqual(await take(client.subscribe(), 1), []);
  });

  it("tells problems from passing trouble", async (t) => {
    const [server, client] = await start(t, { transport: "sse" });
    server.faults.push({ status: 429, headers: { "Retry-After": "0" } }, { status: 500 }, { status: 403 });
    await assert.rejects(take(client.subscribe(), 1), (error) => error instanceof ProblemError && error.status === 403 && error.code === "refused_here");
    assert.equal(server.connections, 3);
  });

  it("asks for what the subscription says", async (t) => {
    const [server, client] = await start(t, { transport: "sse" });
    const subscription = client.subscribe({ channels: ["run:*", "task:task_1"], types: ["task.*"], versions: ["task.created@1"], after: 7, live: () => {} });
    await until(() => server.requests.length === 1);
    subscription.close();
    assert.equal(server.requests[0]!.url, "/api/v1/events/stream?channel=run%3A*&channel=task%3Atask_1&type=task.*&versions=task.created%401&live=true&after=7");
  });
});

describe("websocket", { skip: WebSocket ? false : "this Node has no WebSocket" }, () => {
  let server: FakeServer;
  let client: EventClient;
  before(async () => {
    server = await FakeServer.start();
    client = new EventClient({ url: server.url, token: server.token, transport: "websocket", backoff: { first: 1, last: 4 }, client: "me" });
  });
  after(() => server.close());

  it("has one connection for all subscriptions, and none when there are none", async () => {
    server.append(...events(5));
    const all: Subscription[] = [1, 2, 3].map(() => client.subscribe({ after: 0 }));
    for (const one of all) assert.equal((await take(one, 5)).length, 5);
    await until(() => server.open === 0);
    assert.equal(server.connections, 1);
    assert.match(server.requests[0]!.url!, /client=me/);
    assert.deepEqual(server.frames.filter((f) => f.type === "subscribe").map((f) => f.id), ["s1", "s2", "s3"]);
    assert.ok(server.frames.some((f) => f.type === "unsubscribe" && f.id === "s2"));
  });

  it("loses nothing when more comes than is taken", async () => {
    const { WebSocketTransport } = await import("../src/index.js");
    server.append(...events(200));
    const transport = new WebSocketTransport({ url: server.url, token: server.token, inbox: 20 });
    const small = new EventClient({ url: server.url, transport, backoff: { first: 1, last: 4 } });
    const subscription = small.subscribe({ after: 0, buffer: 5 });
    assert.deepEqual((await take(subscription, server.head)).map((e) => e.position), positions(1, server.head));
    assert.ok(subscription.stats.connections > 1, "the inbox was never full");
    small.close();
  });

  it("counts a server that says nothing as lost", async () => {
    const { WebSocketTransport } = await import("../src/index.js");
    server.faults.push({ silent: true });
    const transport = new WebSocketTransport({ url: server.url, token: server.token, ping: 20 });
    const states: unknown[] = [];
    const impatient = new EventClient({ url: server.url, transport, backoff: { first: 1, last: 4 } });
    const subscription = impatient.subscribe({ after: 0, onState: (_, reason) => reason && states.push(reason) });
    assert.equal((await take(subscription, 1)).length, 1);
    assert.match(String(states[0]), /silent for too long/);
    impatient.close();
  });
});
