import type { ListQuery } from "./list-query.ts";
import type { Task, TaskContent } from "./task.ts";

/** Who owns tasks: the issuer that knows the person, and its name for them. */
export interface Person {
  readonly source: string;
  readonly subject: string;
}

export interface TaskPage {
  readonly items: readonly Task[];
  /** Opaque; null at the end. */
  readonly nextCursor: string | null;
}

/** Where to put a task, as seen from another or from the ends. */
export type Place =
  | { readonly before: string }
  | { readonly after: string }
  | { readonly to: "first" | "last" };

/** One fact of a person's feed. `sequence` rises by one with each. */
export type Change =
  | {
      readonly kind: "created" | "updated";
      readonly sequence: number;
      readonly at: string;
      readonly task: Task;
    }
  | {
      readonly kind: "deleted";
      readonly sequence: number;
      readonly at: string;
      readonly id: string;
    }
  /** All positions were written anew. */
  | { readonly kind: "reordered"; readonly sequence: number; readonly at: string };

/**
 * Where tasks live. Each call sees and changes one person's tasks only.
 * A change and its line in the feed's log are one transaction, on disk before the promise resolves; sequences of
 * one person become visible in rising order without gaps, so that whoever reads the log in order misses nothing.
 * What `judge` throws passes through, and nothing is changed then; it runs inside the transaction, so that what it
 * judged is what is changed.
 */
export interface TaskStore {
  /** @throws {Fault} `invalid_request` for a cursor that was not made for this list */
  list(person: Person, query: ListQuery): Promise<TaskPage>;
  /** The sequence of the newest change; 0 for a person never seen. */
  newestSequence(person: Person): Promise<number>;
  /** @throws {Fault} `task_not_found` */
  read(person: Person, id: string): Promise<Task>;
  /**
   * Adds a task at the end. With a key, the answer is kept: the same key again answers the same task as it was,
   * also when both come at once, since looking for the key and keeping the answer are one transaction.
   * @throws {Fault} `task_quota_exceeded`, `idempotency_key_reused`
   */
  create(
    person: Person,
    content: TaskContent,
    idempotencyKey?: string,
  ): Promise<{ readonly task: Task; readonly isReplay: boolean }>;
  /**
   * Replaces what the person wrote by what `judge` answers; nothing happens when that is the same.
   * @throws {Fault} `task_not_found`
   */
  update(person: Person, id: string, judge: (current: Task) => TaskContent): Promise<Task>;
  /** @throws {Fault} `task_not_found` */
  remove(person: Person, id: string, judge: (current: Task) => void): Promise<void>;
  /** @throws {Fault} `task_not_found`, `neighbour_not_found` */
  move(
    person: Person,
    id: string,
    options: { readonly place: Place; readonly judge: (current: Task) => void },
  ): Promise<Task>;
  /**
   * What came after `sequence`, oldest first, at most `limit`.
   * `undefined` when that can no longer be told: it was forgotten, or is a sequence that never was.
   */
  changesAfter(
    person: Person,
    sequence: number,
    limit: number,
  ): Promise<readonly Change[] | undefined>;
  /** Forgets what is older than its keeping time. Returns how many rows went; call again while it is not 0. */
  sweep(): Promise<number>;
}
