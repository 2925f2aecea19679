/** What everybody is asked: a small GET as a program sends it, with a bearer token, whether it is looked at or not. */
export function getRequest(path: string, token: string | undefined): Buffer {
  const authorization = token === undefined ? "" : `Authorization: Bearer ${token}\r\n`;
  return Buffer.from(
    `GET ${path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n${authorization}\r\n`,
  );
}
