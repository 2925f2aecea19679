import { chmod, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Clock, Random } from "@tidegate/clock";
import { toRfc5322 } from "./nodemailer.ts";
import type { Mailer } from "./mailer.ts";

/** Letters as files in place of a mail server: for demonstrations and tests. */
export async function openOutboxFolder(options: {
  /** Made if it is not there; readable by its owner alone, since the letters hold codes that work. */
  readonly folder: string;
  readonly from: string;
  readonly clock: Clock;
  readonly random: Random;
  /** The oldest letters go when there are more. */
  readonly maxLetters?: number;
}): Promise<Mailer> {
  const { folder, from, clock, random, maxLetters = MAX_LETTERS } = options;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chmod(folder, 0o700);
  return {
    async send(message, signal) {
      const nowMs = clock.wallMs();
      const bytes = await toRfc5322(message, { from, atMs: nowMs });
      signal.throwIfAborted();
      // Sorted by time, also within one millisecond as far as anybody can see; the random end keeps names apart.
      const stamp = new Date(nowMs).toISOString().replaceAll(":", "-");
      const name = `${stamp}-${random.bytes(4).toString("hex")}.eml`;
      const partial = join(folder, `.${name}.partial`);
      // Exclusive, so that a link planted under the name is never written through.
      await using file = await open(partial, "wx", 0o600);
      await file.writeFile(bytes);
      // A name that ends in .eml is always a whole letter.
      await rename(partial, join(folder, name));
      await forgetOldest(folder, maxLetters);
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

async function forgetOldest(folder: string, maxLetters: number): Promise<void> {
  const letters = (await readdir(folder)).filter((name) => name.endsWith(".eml")).toSorted();
  for (const name of letters.slice(0, Math.max(0, letters.length - maxLetters))) {
    await rm(join(folder, name), { force: true });
  }
}

/** About a megabyte. */
const MAX_LETTERS = 200;
