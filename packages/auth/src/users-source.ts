import type { Clock } from "@tidegate/clock";
import { parseUsersFile, type User, type UsersFile } from "./users-file.ts";
import { watchFile, type WatchedFile } from "./watched-file.ts";

/** The users file as it is now. Users whose entry did not change stay the same objects. */
export type UsersSource = WatchedFile<UsersFile>;

/** As `watchFile`. @throws {Error} when it cannot be used at the start */
export function openUsersFile({
  path,
  clock,
  onReload,
}: {
  readonly path: string;
  readonly clock: Clock;
  /** Told about every changed file: undefined when it was taken, else why not. Must not throw. */
  readonly onReload?: (problem: Error | undefined) => void;
}): Promise<UsersSource> {
  return watchFile({
    path,
    what: "users file",
    clock,
    parse: parseUsersFile,
    follow(before, loaded) {
      if (loaded.issuer !== before.issuer)
        throw new Error(`Cannot use the users file ${path}: its name changed; restart for that`);
      return keepUnchanged(before, loaded);
    },
    onReload,
  });
}

function keepUnchanged(before: UsersFile, loaded: UsersFile): UsersFile {
  const users = new Map<string, User>();
  for (const [name, user] of loaded.users) {
    const old = before.users.get(name);
    users.set(name, old?.text === user.text ? old : user);
  }
  return { issuer: loaded.issuer, users };
}
