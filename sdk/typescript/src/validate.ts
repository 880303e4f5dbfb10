import { EventError } from "./errors.js";
import { envelopeOptional, envelopeRequired, eventVersions, isKnown, type Envelope } from "./events.gen.js";

/**
 * Holds what came against the envelope and, where the type is known, its major
 * version against the one that the types describe. Throws an EventError with the
 * code "invalid_event" that says what is wrong. Types that are not known pass.
 */
export function parseEvent(value: unknown, pinned: ReadonlySet<string> = new Set()): Envelope {
  if (!isObject(value)) throw invalid("it is not an object");
  for (const [name, rule] of Object.entries(envelopeRequired)) {
    if (value[name] === undefined) throw invalid(`${name} is missing`);
    check(name, value[name], rule);
  }
  for (const [name, rule] of Object.entries(envelopeOptional)) {
    if (value[name] !== undefined) check(name, value[name], rule);
  }
  const event = value as unknown as Envelope;
  if (Number.isNaN(Date.parse(event.timestamp))) throw invalid("timestamp is not a time");
  if (isKnown(event) && !pinned.has(event.event_type)) {
    const known = eventVersions[event.event_type];
    if (major(event.version) !== major(known)) {
      throw invalid(`version ${event.version} of ${event.event_type} is another major version than ${known}, which these types describe: ask for it by name`);
    }
  }
  return event;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function check(name: string, value: unknown, rule: { type: string; pattern?: RegExp }): void {
  if (!isType(value, rule.type)) throw invalid(`${name} is not of type ${rule.type}`);
  if (rule.pattern && !rule.pattern.test(value as string)) throw invalid(`${name} does not have its form`);
}

function isType(value: unknown, type: string): boolean {
  if (type === "integer") return Number.isSafeInteger(value) && (value as number) > 0;
  if (type === "object") return isObject(value);
  return typeof value === type && value !== "";
}

function major(version: string): string {
  return version.slice(0, version.indexOf("."));
}

function invalid(why: string): EventError {
  return new EventError("invalid_event", `an event is not valid: ${why}`);
}
