/** The schema of the SQLite store: migration n brings a database from version n to n + 1. */

/** Applied in order, each in a transaction of its own. Never edit one that was released: add one. */
export const sqliteMigrations: readonly string[] = [
  `
  create table history (
    epoch text not null
  ) strict;

  create table ledger (
    tenant text not null,
    ledger text not null,
    head integer not null,
    floor integer not null,
    primary key (tenant, ledger)
  ) strict, without rowid;

  create table meta (
    tenant text not null,
    ledger text not null,
    seq integer not null,
    cid text not null,
    parents text not null,    -- JSON: [cid, …]
    blobs text not null,      -- JSON: [{ store, cid }, …]
    superseded integer,       -- seq of the commit that covers it; null in a head
    deleted integer,          -- seq that its deletion took
    data blob not null,
    primary key (tenant, ledger, seq),
    unique (tenant, ledger, cid)
  ) strict;
  create index meta_head on meta (tenant, ledger, seq)
    where superseded is null and deleted is null;

  create table key (
    tenant text not null,
    ledger text not null,
    seq integer not null,     -- the meta with which it reaches readers
    value blob not null,      -- UTF-8; not every runtime reads text behind a zero character
    unique (tenant, ledger, value)
  ) strict;
  create index key_seq on key (tenant, ledger, seq);

  create table blob (
    id integer primary key,   -- rises with age
    tenant text not null,
    ledger text not null,
    store text not null,
    cid text not null,
    digest blob not null,
    size integer not null,
    retired integer not null default 0,
    unique (tenant, ledger, store, cid)
  ) strict;
  create index blob_in_use on blob (tenant, ledger, id)
    where store = 'car' and retired = 0;

  -- Apart from blob, so that listing and retiring never touch the bytes.
  create table content (
    blob integer primary key references blob (id),
    bytes blob not null
  ) strict;

  create table wal (
    tenant text not null,
    ledger text not null,
    owner blob not null,      -- UTF-8, as in key
    name text not null,
    version integer not null,
    bytes blob not null,
    primary key (tenant, ledger, owner, name)
  ) strict;
  `,
];
