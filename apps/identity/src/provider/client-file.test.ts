import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { test } from "node:test";
import { tempFolder } from "@tidegate/testkit";
import { readClientFile } from "./client-file.ts";

const SECRET = "0123456789abcdefghijklm";
const api = { identifier: "https://api.example", format: "jwt", scopes: ["read"] };
const web = {
  id: "web",
  name: "Web",
  kind: "web",
  secret: SECRET,
  redirectUris: ["https://app.example/callback"],
  resources: ["https://api.example"],
};

test("readClientFile() refuses what would be unsafe or could not work, all at once and without repeating secrets", async () => {
  await using folder = await tempFolder();
  const path = folder.file("clients.json");
  const refused = (clients: readonly object[], resources: readonly object[] = [api]): string => {
    writeFileSync(path, JSON.stringify({ resources, clients }));
    try {
      readClientFile(path);
    } catch (error) {
      const message = error instanceof Error ? error.message : "";
      assert.equal(message.includes(SECRET), false);
      return message;
    }
    return "accepted";
  };
  const cases: [object, RegExp][] = [
    [{ ...web, secret: "short" }, /secret/],
    [{ ...web, secret: undefined }, /web: needs a secret/],
    [{ ...web, kind: "browser" }, /what everybody can read is no secret/],
    [{ ...web, redirectUris: [] }, /needs a redirect URI/],
    [{ ...web, redirectUris: ["http://app.example/callback"] }, /must be https/],
    [{ ...web, redirectUris: ["https://u:p@app.example/"] }, /must be https/],
    [{ ...web, redirectUris: ["javascript:alert(1)"] }, /must be https/],
    [{ ...web, redirectUris: ["com.example.app:/callback"] }, /must be https/],
    [{ ...web, redirectUris: ["https://app.example/#x"] }, /redirectUris/],
    [{ ...web, signOutUris: ["http://app.example/out"] }, /must be https/],
    [{ ...web, resources: ["https://other.example"] }, /knows no resource/],
    [{ ...web, kind: "service", redirectUris: [] }, /it could do nothing/],
    [{ ...web, kind: "service", serviceScopes: ["read"] }, /nobody signs in through it/],
    [{ ...web, kind: "native", secret: undefined, serviceScopes: ["read"] }, /without a secret/],
    [{ ...web, kind: "native", secret: undefined, basicScopes: [] }, /without a secret/],
    [{ ...web, redirectUri: "https://app.example" }, /redirectUri/],
    [{ ...web, id: "a b" }, /id/],
  ];
  for (const [client, said] of cases) assert.match(refused([client]), said);
  assert.match(refused([web, web]), /two clients have one id/);
  assert.match(refused([web], [api, api]), /two resources have one identifier/);
  assert.match(
    refused([web], [{ ...api, introspectedBy: ["nobody"] }]),
    /there is no client nobody/,
  );
  const several = refused([{ ...web, secret: undefined, redirectUris: ["http://app.example/"] }]);
  assert.match(several, /needs a secret[^]*must be https/);
  writeFileSync(path, "{");
  assert.throws(() => readClientFile(path), /it is not JSON/);
  assert.throws(() => readClientFile(folder.file("none.json")), /ENOENT/);
});

test("readClientFile() reads secrets from files beside it, and takes loopback and private schemes where they are safe", async () => {
  await using folder = await tempFolder();
  const path = folder.file("clients.json");
  writeFileSync(folder.file("secret"), `${SECRET}\n`);
  const { secret: _secret, ...rest } = web;
  const clients = [
    { ...rest, secretFile: "secret", redirectUris: ["http://localhost:8080/callback"] },
    {
      id: "app",
      name: "App",
      kind: "native",
      redirectUris: ["com.example.app:/callback", "http://127.0.0.1/callback"],
    },
  ];
  writeFileSync(path, JSON.stringify({ resources: [api], clients }));
  const file = readClientFile(path);
  assert.equal(file.clients[0]?.secret, SECRET);
  assert.equal(file.clients[0]?.consent, "ask");
  assert.equal(file.clients[1]?.secret, undefined);
});
