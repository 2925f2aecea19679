import { rawConnection, readAnswer, type RawAnswer } from "@tidegate/testkit";

/** Asks once on a connection of its own and gives the whole answer, for comparing before timing. */
export async function oneAnswer(port: number, request: Buffer): Promise<RawAnswer> {
  await using connection = await rawConnection(port);
  await connection.write(request);
  return await readAnswer(connection);
}
