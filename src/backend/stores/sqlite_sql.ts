/** Every statement of the SQLite store; each searches by an index, whatever the ledger's length. */

import type { DatabaseSync, StatementSync } from "node:sqlite";

/** One statement an intention. `ledger` is the number of a ledger, but where its names are given. */
export const sql = {
  findLedger: `
    select id, head, floor from ledger where tenant = ? and ledger = ?`,
  createLedger: `
    insert into ledger (tenant, ledger, head, floor) values (?, ?, 0, 0)`,
  setHead: `
    update ledger set head = ?2 where id = ?1 and head < ?2`,
  raiseFloor: `
    update ledger set head = ?2, floor = ?2 where id = ?1`,

  insertMeta: `
    insert into meta (id, ledger, seq, cid, parents, blobs, data) values (?, ?, ?, ?, ?, ?, ?)`,
  deleteMeta: `
    update meta set deleted = ?2 where id = ?1 and deleted is null`,
  readMeta: `
    select seq, cid, parents, blobs, data from meta where id = ? and deleted is null`,
  findMeta: `
    select meta, seq from meta_cid where ledger = ? and cid = ?`,
  readLog: `
    select meta.seq, cid, parents, blobs, data
    from meta_seq join meta on meta.id = meta_seq.meta
    where meta_seq.ledger = ? and meta_seq.seq > ? and meta_seq.seq < ? and deleted is null
    order by meta_seq.seq limit ?`,
  insertHead: `
    insert into head (ledger, seq, meta) values (?, ?, ?)`,
  deleteHead: `
    delete from head where ledger = ? and seq = ?`,
  readHeads: `
    select meta.seq, cid, parents, blobs, data
    from head join meta on meta.id = head.meta
    where head.ledger = ? order by head.seq`,

  findKey: `
    select 1 from key where ledger = ? and value = ?`,
  insertKey: `
    insert into key (ledger, seq, value) values (?, ?, ?)`,
  readKeys: `
    select value from key where ledger = ? and seq > ? and seq <= ? order by seq, rowid`,

  findBlob: `
    select blob from blob_cid where ledger = ? and store = ? and cid = ?`,
  describeBlob: `
    select digest, size, bytes is not null as kept from blob where id = ?`,
  readBlob: `
    select digest, size, bytes is not null as kept, bytes from blob where id = ?`,
  insertBlob: `
    insert into blob (id, ledger, store, cid, digest, size, bytes) values (?, ?, ?, ?, ?, ?, ?)`,
  insertListing: `
    insert into listing (ledger, store, retired, blob, cid, size) values (?, ?, ?, ?, ?, ?)`,
  setRetired: `
    update listing set retired = ?4
    where ledger = ?1 and store = ?2 and retired = 1 - ?4 and blob = ?3`,
  listBlobs: `
    select store, cid, size, blob from listing
    where ledger = ?1 and store = ?2 and retired = 0 and blob < ?3
    union all
    select store, cid, size, blob from listing
    where ledger = ?1 and store = ?2 and retired = 1 and blob < ?3
    order by blob desc limit ?4`,
  readInventory: `
    select store, cid, size, blob from listing
    where ledger = ? and store = 'car' and retired = 0
    order by blob desc limit ?`,

  insertHeld: `
    insert into held (tenant, ledger, cid, parents, blobs, data) values (?, ?, ?, ?, ?, ?)
    on conflict do nothing`,
  readHeld: `
    select cid, parents, blobs, data from held where tenant = ? and ledger = ? order by item`,
  deleteHeld: `
    delete from held where tenant = ? and ledger = ? and cid = ?`,
  countHeld: `
    select tenant, ledger, count(*) as metas from held where (tenant, ledger) > (?, ?)
    group by tenant, ledger order by tenant, ledger limit ?`,

  indexSeq: `
    insert into meta_seq (ledger, seq, meta) values (?, ?, ?) on conflict do nothing`,
  indexMeta: `
    insert into meta_cid (ledger, cid, seq, meta) values (?, ?, ?, ?) on conflict do nothing`,
  indexBlob: `
    insert into blob_cid (ledger, store, cid, blob) values (?, ?, ?, ?) on conflict do nothing`,
  findIndexed: `
    select up_to from indexed where kind = ?`,
  setIndexed: `
    update indexed set up_to = ?2 where kind = ?1 and up_to < ?2`,
  readNewMetas: `
    select id, ledger, seq, cid from meta where id > ? order by id`,
  readNewBlobs: `
    select id, ledger, store, cid, size, exists (
      select 1 from listing
      where listing.ledger = blob.ledger and listing.store = blob.store
        and listing.retired in (0, 1) and listing.blob = blob.id
    ) as listed
    from blob where id > ? order by id`,

  findWal: `
    select version, bytes from wal where tenant = ? and ledger = ? and owner = ? and name = ?`,
  setWal: `
    insert into wal (tenant, ledger, owner, name, version, bytes) values (?, ?, ?, ?, ?, ?)
    on conflict do update set version = excluded.version, bytes = excluded.bytes`,
  deleteWal: `
    delete from wal where tenant = ? and ledger = ? and owner = ? and name = ?`,
} as const satisfies Record<string, string>;

/** Statements of a table, prepared once for as long as the database is open. */
export type Prepared<T> = { readonly [Name in keyof T]: StatementSync };

/** The statements of the store. */
export type Statements = Prepared<typeof sql>;

/** Prepares all of a table. */
export function prepareStatements<T extends Readonly<Record<string, string>>>(
  database: DatabaseSync,
  texts: T,
): Prepared<T> {
  const prepared = Object.entries(texts).map(([name, text]) => [name, database.prepare(text)]);
  // The compiler does not follow names through entries and back.
  return Object.fromEntries(prepared) as Prepared<T>;
}
