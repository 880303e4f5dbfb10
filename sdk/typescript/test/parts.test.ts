import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Backoff } from "../src/backoff.js";
import { EventStreamParser, SSETransport, type ServerSentEvent } from "../src/sse.js";
import { LostError, isKnown, parseEvent, eventVersions, type Envelope, type EventOf, type Matching } from "../src/index.js";
import fixtures from "./fixtures.gen.json" with { type: "json" };

describe("parseEvent", () => {
  const good = fixtures[0]! as Record<string, unknown>;

  it("accepts every example, and knows every type", () => {
    const types = new Set<string>();
    for (const one of fixtures) {
      const event = parseEvent(one);
      assert.ok(isKnown(event));
      types.add(event.event_type);
    }
    assert.deepEqual([...types].sort(), Object.keys(eventVersions).sort());
  });

  for (const [name, change] of Object.entries({
    "no id": { event_id: undefined },
    "another id": { event_id: "task_01J9ZK3V5T8QWXYZABCDEF0123" },
    "no type": { event_type: "" },
    "no version": { version: "1" },
    "no time": { timestamp: "yesterday" },
    "a time as a number": { timestamp: 7 },
    "a foreign workspace id": { workspace_id: "default" },
    "no data": { data: null },
    "a list as data": { data: [] },
    "position 0": { position: 0 },
    "a broken position": { position: 1.5 },
    "a position beyond what numbers hold": { position: 2 ** 60 },
    "a wrong run id": { run_id: "task_1" },
    "another major version": { version: "2.0.0" },
    "a trace of another form": { traceparent: "00" },
  })) {
    it(`refuses ${name}`, () => assert.throws(() => parseEvent({ ...good, ...change }), { code: "invalid_event" }));
  }

  it("refuses what is no object", () => {
    for (const value of [null, undefined, 7, "x", []]) assert.throws(() => parseEvent(value), { code: "invalid_event" });
  });

  it("does not take names of Object.prototype for types", () => {
    assert.equal(isKnown({ ...good, event_type: "toString" } as unknown as Envelope), false);
  });
});

describe("types", () => {
  it("say what a subscription yields", () => {
    const one: Matching<"task.created"> extends EventOf<"task.created"> ? true : false = true;
    const both: Matching<"task.created" | "tool.call"> extends EventOf<"task.created"> | EventOf<"tool.call"> ? true : false = true;
    const glob: Envelope extends Matching<"task.*"> ? true : false = true;
    const narrowed = (event: Envelope) => (isKnown(event) && event.event_type === "task.error" ? event.data.error_type : undefined);
    assert.ok(one && both && glob && narrowed({ event_type: "x" } as Envelope) === undefined);
  });
});

describe("Backoff", () => {
  it("is anything between zero and a bound that doubles up to the last", () => {
    const high = new Backoff({ first: 100, last: 1000, random: () => 0.999 });
    assert.deepEqual([1, 2, 3, 4, 5, 6].map(() => high.next()), [99, 199, 399, 799, 999, 999]);
    high.reset();
    assert.equal(high.next(), 99);
    const low = new Backoff({ random: () => 0 });
    for (let i = 0; i < 2000; i++) assert.equal(low.next(), 0);
  });
});

describe("EventStreamParser", () => {
  const parse = (...pieces: string[]): ServerSentEvent[] => {
    const parser = new EventStreamParser();
    return pieces.flatMap((piece) => [...parser.push(piece)]);
  };

  it("reads what the standard says", () => {
    assert.deepEqual(parse("\uFEFF:c\ndata: a\ndata:b\n\nid: 1\nevent: x\ndata\n\ndata: c\n\nid\ndata: d\n\nevent: y\n\ndata: e\n\n"), [
      { event: "message", data: "a\nb", id: undefined },
      { event: "x", data: "", id: "1" },
      { event: "message", data: "c", id: "1" },
      { event: "message", data: "d", id: undefined },
      { event: "message", data: "e", id: undefined },
    ]);
    assert.deepEqual(parse("data: x"), []);
    assert.deepEqual(parse("id: a\0b\ndata: x\n\n"), [{ event: "message", data: "x", id: undefined }]);
  });

  it("does not mind where the pieces end, or how lines do", () => {
    const text = "id: 1\ndata: first\n\n:comment\n\nid: 2\nevent: reset\ndata: {\ndata: }\n\n";
    const want = parse(text);
    assert.equal(want.length, 2);
    for (const end of ["\n", "\r\n", "\r"]) {
      const ended = text.replaceAll("\n", end);
      for (let i = 0; i <= ended.length; i++) assert.deepEqual(parse(ended.slice(0, i), ended.slice(i)), want, `${JSON.stringify(end)} cut at ${i}`);
      assert.deepEqual(parse(...ended), want);
    }
  });

  it("is bounded", () => {
    const long = "x".repeat(1 << 20);
    assert.throws(() => parse(long, long, long), { code: "bad_frame" });
    assert.throws(() => parse(...Array.from({ length: 3 }, () => `data: ${long}\n`)), { code: "bad_frame" });
  });
});

describe("SSETransport", () => {
  const request = { channels: ["all"], types: [], live: false };
  const first = async (fetch: typeof globalThis.fetch, silence = 1000) => {
    for await (const message of new SSETransport({ url: "http://x", fetch, silence }).open(request, new AbortController().signal)) return message;
    return undefined;
  };

  it("does as Retry-After asks", async () => {
    const busy = async () => new Response("busy", { status: 503, headers: { "Retry-After": "7" } });
    await assert.rejects(first(busy), (error) => error instanceof LostError && error.retryAfter === 7000);
  });

  it("counts a server that says nothing as lost", async () => {
    const silent: typeof globalThis.fetch = async (_, init) => {
      const body = new ReadableStream({
        start(controller) {
          init!.signal!.addEventListener("abort", () => controller.error(init!.signal!.reason));
        },
      });
      return new Response(body);
    };
    await assert.rejects(first(silent, 10), /silent for too long/);
  });

  it("refuses bytes that are no text", async () => {
    const broken = async () => new Response(new Uint8Array([100, 97, 116, 97, 58, 0xff, 10, 10]));
    await assert.rejects(first(broken), LostError);
  });

  it("refuses data that is no JSON", async () => {
    await assert.rejects(first(async () => new Response("data: {\n\n")), { code: "bad_frame" });
  });
});
