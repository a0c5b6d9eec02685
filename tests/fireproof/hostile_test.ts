/** A ledger into which somebody with a right to write has put what no database should ever see. */

import { test } from "node:test";
import { assert, assertEquals } from "#assert";
import { connect } from "../../mod.ts";
import { formatCid, parseCid } from "../../src/protocol/cid.ts";
import { startDevice } from "../harness/device.ts";
import { eventually } from "../harness/eventually.ts";
import { startServer } from "../harness/server_process.ts";
import { docsOf, have, hear, join, ledger, patient, reach } from "./scene.ts";

test(
  "a car that is not what its CID says reaches no database, and holds up no other",
  patient,
  async () => {
    await using server = await startServer();
    await using writer = await startDevice();
    await using reader = await startDevice();
    await join(server, [writer, reader]);
    await writer.put({ docs: docsOf("before") });
    await hear([reader], ["before"]);

    await using intruder = connect({ url: server.url, token: await server.token(ledger) });
    const bytes = crypto.getRandomValues(new Uint8Array(500));
    const cid = await cidOf(0x18, new TextEncoder().encode("what these bytes are not"));
    const data = eventNaming(cid);
    const meta = {
      cid: await cidOf(0x71, data),
      parents: [],
      data,
      blobs: [{ store: "car" as const, cid }],
    };
    await intruder.commit({ ledger, blobs: [{ store: "car", cid, bytes }], metas: [meta] });

    await eventually(async () => {
      const status = await reader.status();
      assertEquals([status.state, status.code], ["stale", "DIGEST_MISMATCH"]);
    }, { on: [reader] });
    await writer.put({ docs: docsOf("after") });
    await hear([reader], ["after"]);
    await reader.put({ docs: docsOf("answer") });
    await hear([writer], ["answer"]);
    await have([writer, reader], ["before", "after", "answer"]);
    await using fresh = await startDevice();
    await join(server, [fresh]);
    await have([fresh], ["before", "after", "answer"]);
    await reach([fresh], "stale");
  },
);

test("a meta that is no event of Fireproof's is left aside", patient, async () => {
  await using server = await startServer();
  await using reader = await startDevice();
  await join(server, [reader]);
  await using intruder = connect({ url: server.url, token: await server.token(ledger) });
  const data = new TextEncoder().encode("no event at all");
  await intruder.commit({
    ledger,
    metas: [{ cid: await cidOf(0x71, data), parents: [], data, blobs: [] }],
  });
  await reach([reader], "stale");
  await reader.put({ docs: docsOf("mine") });
  await reader.flush();
  await using other = await startDevice();
  await join(server, [other]);
  await have([reader, other], ["mine"]);
});

async function cidOf(codec: number, bytes: Uint8Array): Promise<string> {
  const copy = new Uint8Array(bytes);
  return formatCid(codec, new Uint8Array(await crypto.subtle.digest("SHA-256", copy)));
}

/** Fireproof's event block: dag-cbor of `{ data: { dbMeta: bytes of JSON }, parents: [] }`. */
function eventNaming(cid: string): Uint8Array {
  assert(parseCid(cid), "Expected a CID");
  const json = new TextEncoder().encode(JSON.stringify({ cars: [{ "/": cid }] }));
  assert(json.length < 256, "Expected a length of one byte");
  return new Uint8Array([
    ...[0xa2, ...cborText("data"), 0xa1, ...cborText("dbMeta"), 0x58, json.length, ...json],
    ...[...cborText("parents"), 0x80],
  ]);
}

function cborText(text: string): number[] {
  return [0x60 + text.length, ...new TextEncoder().encode(text)];
}
