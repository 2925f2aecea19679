import { test } from "node:test";
import { compareParsers } from "./parser-differential.ts";

test("RequestParser refuses what the platform's parser refuses, and reads the rest as it does", () =>
  compareParsers(1_000));
