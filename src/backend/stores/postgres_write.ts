/** The one statement that writes a batch: everything its commits add, or nothing. */

import { Buffer } from "node:buffer";
import type { BlobRef } from "../../protocol/model.ts";
import { booleanArray, integerArray, namesOf, textArray } from "./postgres_arrays.ts";
import type { Changes } from "./postgres_batch.ts";
import { type Statement, statement } from "./postgres_session.ts";
import { findHead, findLedger } from "./postgres_sql.ts";

/**
 * What the statement does, a part for each table. Each counts its parameters from 1, and lists come as
 * arrays side by side. Binary comes as one base64 text for all rows, cut by offset (from 1) and size:
 * that took Postgres 15 and the driver 20 microseconds a kilobyte, as an array of `bytea` 37.
 */
export const writeParts = {
  /** Only ledgers that are as the plan took them to be: `whole` below fails else. */
  moved: `
    update ledger set head = found.new_head, items = found.new_items, stamp = $6::bigint
    from (
      select found.*, asked.old_stamp, asked.new_head, asked.new_items
      from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[])
        as asked (tenant, ledger, old_stamp, new_head, new_items)
      ${findLedger} offset 0
    ) as found
    where ledger.ctid = found.place
      and ledger.tenant = found.tenant and ledger.ledger = found.ledger
      and ledger.stamp = found.old_stamp
    returning 1`,
  metas: `
    insert into meta (tenant, ledger, seq, cid, parents, blobs, data)
    select tenant, ledger, seq, cid, parents, blobs, substr(packed.bytes, at, size)
    from (select decode($9::text, 'base64') as bytes offset 0) as packed,
      unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[],
        $7::int[], $8::int[]) as given (tenant, ledger, seq, cid, parents, blobs, at, size)`,
  heads: `
    insert into head (tenant, ledger, seq)
    select * from unnest($1::text[], $2::text[], $3::bigint[])`,
  superseded: `
    delete from head using (
      select found.*
      from unnest($1::text[], $2::text[], $3::bigint[]) as asked (tenant, ledger, seq)
      ${findHead} offset 0
    ) as found
    where head.ctid = found.place
      and head.tenant = found.tenant and head.ledger = found.ledger and head.seq = found.seq`,
  keys: `
    insert into key (tenant, ledger, seq, item, digest, value)
    select tenant, ledger, seq, item, sha256(value), value
    from (
      select tenant, ledger, seq, item, substr(packed.bytes, at, size) as value
      from (select decode($7::text, 'base64') as bytes offset 0) as packed,
        unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::int[], $6::int[])
          as given (tenant, ledger, seq, item, at, size)
    ) as cut`,
  /** Its packed bytes are digests, each with the bytes behind it where the database keeps them. */
  blobs: `
    insert into blob (tenant, ledger, store, cid, item, size, digest, bytes)
    select tenant, ledger, store, cid, item, size, substr(packed.bytes, at, 32),
      case when kept then substr(packed.bytes, at + 32, size::int) end
    from (select decode($9::text, 'base64') as bytes offset 0) as packed,
      unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[],
        $7::int[], $8::boolean[]) as given (tenant, ledger, store, cid, item, size, at, kept)`,
  listings: `
    insert into listing (tenant, ledger, store, retired, item, cid, size)
    select * from unnest($1::text[], $2::text[], $3::text[], $4::boolean[], $5::bigint[],
      $6::text[], $7::bigint[])`,
} as const;

/**
 * All parts as one statement, and so one transaction. It divides by zero when a ledger is not as it
 * was planned on, which undoes all of it.
 */
export const write = joined();

function joined(): string {
  let count = 0;
  const parts = Object.entries(writeParts).map(([name, text]) => {
    const before = count;
    const numbered = text.replace(/\$(\d+)/g, (_, number: string) => {
      count = Math.max(count, before + Number(number));
      return `$${before + Number(number)}`;
    });
    return `${name} as (${numbered})`;
  });
  return `with ${parts.join(", ")}
    select 1 / (count(*) = cardinality($1::text[]))::int as whole from moved`;
}

/** Whether the statement failed since a ledger was not as it was planned on; nothing was written. */
export function isStale(error: unknown): boolean {
  // Something that was taken to be new was there, or `whole` failed.
  return error instanceof Error && "code" in error &&
    (error.code === "23505" || error.code === "22012");
}

/** The statement with what it writes. @param stamp what the ledgers are stamped with, above 0 */
export function writeOf(changes: Changes, stamp: number): Statement {
  const { ledgers, metas, keys, blobs, superseded } = changes;
  const heads = metas.filter((it) => !it.superseded);
  const data = pack(metas.map((it) => [it.meta.data]));
  const encoder = new TextEncoder();
  const values = keys.map((it) => encoder.encode(it.key));
  const packedKeys = pack(values.map((it) => [it]));
  const contents = pack(
    blobs.map(({ blob: { digest, bytes } }) => bytes ? [digest, bytes] : [digest]),
  );
  const stores = textArray(blobs.map((it) => it.blob.store));
  const cids = textArray(blobs.map((it) => it.blob.cid));
  const items = integerArray(blobs.map((it) => it.item));
  const sizes = integerArray(blobs.map((it) => it.blob.size));
  const blobNames = namesOf(blobs);
  return statement(
    write,
    ...namesOf(ledgers),
    integerArray(ledgers.map((it) => it.stamp)),
    integerArray(ledgers.map((it) => it.head)),
    integerArray(ledgers.map((it) => it.items)),
    stamp,
    ...namesOf(metas),
    integerArray(metas.map((it) => it.seq)),
    textArray(metas.map((it) => it.meta.cid)),
    textArray(metas.map((it) => JSON.stringify(it.meta.parents))),
    textArray(metas.map((it) => refsText(it.meta.blobs))),
    data.offsets,
    integerArray(metas.map((it) => it.meta.data.length)),
    data.text,
    ...namesOf(heads),
    integerArray(heads.map((it) => it.seq)),
    ...namesOf(superseded),
    integerArray(superseded.map((it) => it.seq)),
    ...namesOf(keys),
    integerArray(keys.map((it) => it.seq)),
    integerArray(keys.map((it) => it.item)),
    packedKeys.offsets,
    integerArray(values.map((it) => it.length)),
    packedKeys.text,
    ...blobNames,
    stores,
    cids,
    items,
    sizes,
    contents.offsets,
    booleanArray(blobs.map((it) => it.blob.bytes !== undefined)),
    contents.text,
    ...blobNames,
    stores,
    booleanArray(blobs.map((it) => it.retired)),
    items,
    cids,
    sizes,
  );
}

/** Base64 of all bytes, and where each row's begin. */
function pack(rows: readonly (readonly Uint8Array[])[]): {
  readonly offsets: string;
  readonly text: string;
} {
  let next = 1;
  const offsets = rows.map((parts) => {
    const start = next;
    for (const part of parts) next += part.length;
    return start;
  });
  return { offsets: integerArray(offsets), text: Buffer.concat(rows.flat()).toString("base64") };
}

function refsText(blobs: readonly BlobRef[]): string {
  return JSON.stringify(blobs.map(({ store, cid }) => ({ store, cid })));
}
