/** The twin's database: objects by class and reference, with a number for each change, as XAPI's events have it. */
import { randomUUID } from "node:crypto";

export type Fields = Record<string, unknown>;
export type ClassName =
  | "vm"
  | "host"
  | "host_metrics"
  | "sr"
  | "pool"
  | "vdi"
  | "vbd"
  | "pbd"
  | "vif"
  | "network"
  | "task"
  | "console"
  | "message";

interface Change {
  generation: number;
  class: ClassName;
  ref: string;
  operation: "add" | "mod" | "del";
}

/** An error by one of XAPI's own codes. */
export class Failure extends Error {
  readonly code: string;
  readonly facts: string[];
  constructor(code: string, ...facts: string[]) {
    super(code);
    this.code = code;
    this.facts = facts;
  }
}

export class Records {
  readonly #objects = new Map<string, { class: ClassName; fields: Fields }>();
  #changes: Change[] = [];
  #generation = 1;
  /** Changes up to here were forgotten. */
  #forgotten = 0;
  readonly #waiting = new Set<() => void>();

  add(name: ClassName, fields: Fields): string {
    const ref = `OpaqueRef:${randomUUID()}`;
    this.#objects.set(ref, { class: name, fields: { uuid: randomUUID(), other_config: {}, ...fields } });
    this.#note(name, ref, "add");
    return ref;
  }

  #note(name: ClassName, ref: string, operation: Change["operation"]): void {
    this.#changes.push({ generation: ++this.#generation, class: name, ref, operation });
    for (const wake of [...this.#waiting]) wake();
  }

  has(ref: string): boolean {
    return this.#objects.has(ref);
  }

  get(ref: string, name?: ClassName): Fields {
    const found = this.#objects.get(ref);
    if (!found || (name !== undefined && found.class !== name)) throw new Failure("HANDLE_INVALID", name ?? "object", ref);
    return found.fields;
  }

  classOf(ref: string): ClassName | undefined {
    return this.#objects.get(ref)?.class;
  }

  set(ref: string, fields: Fields): void {
    Object.assign(this.get(ref), fields);
    this.#note(this.#objects.get(ref)!.class, ref, "mod");
  }

  remove(ref: string): void {
    const found = this.#objects.get(ref);
    if (!found) throw new Failure("HANDLE_INVALID", "object", ref);
    this.#objects.delete(ref);
    this.#note(found.class, ref, "del");
  }

  all(name: ClassName): [ref: string, fields: Fields][] {
    return [...this.#objects].flatMap(([ref, found]) => (found.class === name ? [[ref, found.fields] as [string, Fields]] : []));
  }

  /** What happened since the token; everything there is for an empty one. */
  since(token: string, classes: readonly string[]): { token: string; events: Fields[] } {
    const wants = (name: string): boolean => classes.includes(name) || classes.includes("*");
    const next = `gen,${this.#generation}`;
    if (token === "") {
      const events = [...this.#objects].flatMap(([ref, { class: name, fields }]) =>
        wants(name) ? [{ class: name, operation: "add", ref, snapshot: structuredClone(fields) }] : [],
      );
      return { token: next, events };
    }
    const from = Number(/^gen,(\d+)$/.exec(token)?.[1] ?? NaN);
    if (Number.isNaN(from)) throw new Failure("EVENT_FROM_TOKEN_PARSE_FAILURE", token);
    if (from < this.#forgotten || from > this.#generation) throw new Failure("EVENTS_LOST");
    const latest = new Map(this.#changes.filter(({ generation }) => generation > from).map((change) => [change.ref, change]));
    const events = [...latest.values()].flatMap(({ class: name, ref, operation }) => {
      if (!wants(name)) return [];
      const found = this.#objects.get(ref);
      return [{ class: name, ref, operation: found ? operation : "del", ...(found ? { snapshot: structuredClone(found.fields) } : {}) }];
    });
    return { token: next, events };
  }

  /** The next change, or `over`. */
  changed(over: Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waiting.delete(wake);
        resolve();
      };
      this.#waiting.add(wake);
      void over.then(wake);
    });
  }

  /** Events are lost: whoever has a token of before must begin anew. */
  forget(): void {
    this.#changes = [];
    this.#forgotten = ++this.#generation;
  }
}
