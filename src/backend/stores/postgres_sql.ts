/** Every statement of the Postgres store; each searches by an index, whatever the ledger's length. */

/**
 * How rows are found by lists of names: one search of an index for each name, which `limit` keeps the
 * planner from turning into a join. Where two indexes would do, the one that leads to the row and the
 * one that leads to its whole ledger seem equally cheap as long as ledgers are short on average: an
 * order that only the first has decides, and whether the row found is the one is asked behind it.
 *
 * `place` is where the row lies, so that changing it needs no second search, and `offset 0` keeps that
 * apart from the search; the name is compared again, since two parts of a table have the same places.
 */
const findLedger = `
    cross join lateral (
      select tenant, ledger, head, items, ctid as place from ledger
      where tenant = asked.tenant and ledger >= asked.ledger
      order by ledger limit 1
    ) as found
    where found.ledger = asked.ledger`;
const findMeta = `
    cross join lateral (
      select tenant, ledger, cid, seq, ctid as place from meta
      where tenant = asked.tenant and ledger = asked.ledger and cid >= asked.cid
      order by cid limit 1
    ) as found
    where found.cid = asked.cid`;
const findBlob = `
    cross join lateral (
      select tenant, ledger, store, cid, digest, size, ctid as place from blob
      where tenant = asked.tenant and ledger = asked.ledger
        and store = asked.store and cid >= asked.cid
      order by cid limit 1
    ) as found
    where found.cid = asked.cid`;

/**
 * One statement an intention; tenant and ledger come first. Lists come as arrays side by side, and
 * `at` is the place in them, from 1. A parameter says its type, so that none is guessed.
 */
export const sql = {
  begin: "begin",
  commit: "commit",
  rollback: "rollback",

  /** Names the transaction, to ask what became of it when its end was not heard. */
  nameTransaction: "select pg_current_xact_id()::text as name",
  findTransaction: "select pg_xact_status($1::text::xid8) as status",

  // Both take the ledgers in the order given, which is that of every instance, so that none waits in
  // a circle.
  createLedgers: `
    insert into ledger (tenant, ledger, head, floor, items)
    select asked.tenant, asked.ledger, 0, 0, 0
    from unnest($1::text[], $2::text[]) with ordinality as asked (tenant, ledger, at)
    order by asked.at
    on conflict do nothing returning tenant, ledger`,
  /**
   * Has no rows to rely on: of a table in parts, Postgres forgets to hand out a row for whose lock it
   * had to wait. What the row holds is read behind it, as are all facts that plans rest on.
   */
  lockLedgers: `
    select
    from (
      select * from unnest($1::text[], $2::text[]) with ordinality as given (tenant, ledger, at)
      order by at
    ) as asked
    cross join lateral (
      select from ledger
      where tenant = asked.tenant and ledger = asked.ledger limit 1 for update
    ) as found`,
  readLedgers: `
    select found.tenant, found.ledger, found.head, found.items
    from unnest($1::text[], $2::text[]) as asked (tenant, ledger)
    ${findLedger}`,
  dropLedgers: `
    delete from ledger using (
      select found.*
      from unnest($1::text[], $2::text[]) as asked (tenant, ledger)
      ${findLedger} offset 0
    ) as found
    where ledger.ctid = found.place
      and ledger.tenant = found.tenant and ledger.ledger = found.ledger`,
  setHeads: `
    update ledger set head = found.new_head, items = found.new_items
    from (
      select found.*, asked.head as new_head, asked.items as new_items
      from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[])
        as asked (tenant, ledger, head, items)
      ${findLedger} offset 0
    ) as found
    where ledger.ctid = found.place
      and ledger.tenant = found.tenant and ledger.ledger = found.ledger`,

  findSeqs: `
    select asked.at, found.seq
    from unnest($1::text[], $2::text[], $3::text[])
      with ordinality as asked (tenant, ledger, cid, at)
    ${findMeta}`,
  knowBlobs: `
    select asked.at
    from unnest($1::text[], $2::text[], $3::text[], $4::text[])
      with ordinality as asked (tenant, ledger, store, cid, at)
    ${findBlob}`,
  knowKeys: `
    select asked.at
    from (
      select *, sha256(value) as digest
      from unnest($1::text[], $2::text[], $3::bytea[])
        with ordinality as given (tenant, ledger, value, at)
    ) as asked
    cross join lateral (
      select key.digest from key
      where key.tenant = asked.tenant and key.ledger = asked.ledger and key.digest >= asked.digest
      order by key.digest limit 1
    ) as found
    where found.digest = asked.digest`,

  insertMetas: `
    insert into meta (tenant, ledger, seq, cid, parents, blobs, superseded, data)
    select * from unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[],
      $7::bigint[], $8::bytea[])`,
  insertKeys: `
    insert into key (tenant, ledger, seq, item, digest, value)
    select asked.tenant, asked.ledger, asked.seq, asked.item, sha256(asked.value), asked.value
    from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bytea[])
      as asked (tenant, ledger, seq, item, value)`,
  insertBlobs: `
    insert into blob (tenant, ledger, store, cid, item, digest, size, retired)
    select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bytea[],
      $7::bigint[], $8::boolean[])`,
  insertContents: `
    insert into content (tenant, ledger, store, cid, bytes)
    select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bytea[])`,
  supersede: `
    update meta set superseded = found.by
    from (
      select found.*, asked.by
      from unnest($1::text[], $2::text[], $3::text[], $4::bigint[])
        as asked (tenant, ledger, cid, by)
      ${findMeta} offset 0
    ) as found
    where meta.ctid = found.place
      and meta.tenant = found.tenant and meta.ledger = found.ledger and meta.cid = found.cid
      and meta.superseded is null`,
  setRetired: `
    update blob set retired = found.new_retired
    from (
      select found.*, asked.retired as new_retired
      from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::boolean[])
        as asked (tenant, ledger, store, cid, retired)
      ${findBlob} offset 0
    ) as found
    where blob.ctid = found.place
      and blob.tenant = found.tenant and blob.ledger = found.ledger
      and blob.store = found.store and blob.cid = found.cid
      and blob.retired <> found.new_retired`,

  findLedger: `
    select head, floor from ledger where tenant = $1::text and ledger = $2::text`,
  findLedgers: `
    select asked.tenant, asked.ledger, found.head, found.floor
    from unnest($1::text[], $2::text[]) as asked (tenant, ledger)
    cross join lateral (
      select head, floor from ledger
      where tenant = asked.tenant and ledger = asked.ledger
      limit 1
    ) as found`,
  lockLedger: `
    select head from ledger where tenant = $1::text and ledger = $2::text for update`,
  deleteMetas: `
    with gone as (
      update meta
      set deleted = (select head + 1 from ledger where tenant = $1::text and ledger = $2::text)
      from (
        select found.*
        from (select $1::text as tenant, $2::text as ledger, cid from unnest($3::text[]) as cid)
          as asked
        ${findMeta} offset 0
      ) as found
      where meta.ctid = found.place
        and meta.tenant = found.tenant and meta.ledger = found.ledger and meta.cid = found.cid
        and meta.deleted is null
      returning 1
    )
    update ledger set head = head + 1, floor = head + 1
    where tenant = $1::text and ledger = $2::text and exists (select from gone)`,

  // What belongs together is read in one statement, and so in one snapshot. `part` tells the bounds
  // (of the ledger and of the page), metas and keys apart; the orders make the planner take the index
  // that has them.
  readLog: `
    with page as materialized (
      select seq, cid, parents, blobs, data from meta
      where tenant = $1::text and ledger = $2::text and seq > $3::bigint and deleted is null
      order by seq limit $4::bigint + 1
    ), bounds as materialized (
      select head, floor, (select count(*) from page) > $4::bigint as more, coalesce(
        (select max(seq) from (select seq from page order by seq limit $4::bigint) as shown
          where (select count(*) from page) > $4::bigint),
        greatest(head, $3::bigint)) as up_to
      from ledger where tenant = $1::text and ledger = $2::text
    )
    select 'bounds' as part, up_to as seq, floor as item, more,
      null::text as cid, null::text as parents, null::text as blobs, null::bytea as data
    from bounds
    union all
    select 'meta', seq, 0, null, cid, parents, blobs, data from page
    where seq <= (select up_to from bounds)
    union all
    (select 'key', seq, item, null, null, null, null, value from key
    where tenant = $1::text and ledger = $2::text and seq > $3::bigint
      and seq <= (select up_to from bounds) order by seq, item)`,
  readHeads: `
    select 'bounds' as part, head as seq, floor as item,
      null::text as cid, null::text as parents, null::text as blobs, null::bytea as data
    from ledger where tenant = $1::text and ledger = $2::text
    union all
    (select 'meta', seq, 0, cid, parents, blobs, data from meta
    where tenant = $1::text and ledger = $2::text and superseded is null and deleted is null
    order by seq)
    union all
    (select 'key', seq, item, null, null, null, value from key
    where tenant = $1::text and ledger = $2::text order by seq, item)`,

  findBlobs: `
    select asked.at, found.*, null::bytea as bytes
    from unnest($1::text[], $2::text[], $3::text[], $4::text[])
      with ordinality as asked (tenant, ledger, store, cid, at)
    ${findBlob}`,
  findBlobsWithBytes: `
    select found.*, content.bytes
    from (
      select asked.at, found.*
      from unnest($1::text[], $2::text[], $3::text[], $4::text[])
        with ordinality as asked (tenant, ledger, store, cid, at)
      ${findBlob} offset 0
    ) as found
    left join lateral (
      select bytes from content
      where tenant = found.tenant and ledger = found.ledger
        and store = found.store and cid = found.cid limit 1
    ) as content on true`,
  readInventory: `
    select store, cid, size from blob
    where tenant = $1::text and ledger = $2::text and store = 'car' and not retired
    order by item desc limit $3::bigint`,

  findWal: `
    select version, bytes from wal
    where tenant = $1::text and ledger = $2::text and owner = $3::bytea and name = $4::text`,
  insertWal: `
    insert into wal (tenant, ledger, owner, name, version, bytes)
    values ($1::text, $2::text, $3::bytea, $4::text, 1, $5::bytea)
    on conflict do nothing returning version`,
  updateWal: `
    update wal set version = version + 1, bytes = $5::bytea
    where tenant = $1::text and ledger = $2::text and owner = $3::bytea and name = $4::text
      and version = $6::bigint
    returning version`,
  deleteWal: `
    delete from wal
    where tenant = $1::text and ledger = $2::text and owner = $3::bytea and name = $4::text
      and version = $5::bigint
    returning version`,
} as const satisfies Record<string, string>;
