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
export const findLedger = `
    cross join lateral (
      select tenant, ledger, head, items, stamp, ctid as place from ledger
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
export const findHead = `
    cross join lateral (
      select tenant, ledger, seq, ctid as place from head
      where tenant = asked.tenant and ledger = asked.ledger and seq >= asked.seq
      order by seq limit 1
    ) as found
    where found.seq = asked.seq`;
const findListing = `
    cross join lateral (
      select tenant, ledger, item, ctid as place from listing
      where tenant = asked.tenant and ledger = asked.ledger and store = asked.store
        and retired = not asked.retired and item >= asked.item
      order by item limit 1
    ) as found
    where found.item = asked.item`;
const findBlob = `
    cross join lateral (
      select tenant, ledger, store, cid, item, digest, size, bytes from blob
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

  // Both take the ledgers in the order given, which is that of every instance, so that none waits in
  // a circle.
  createLedgers: `
    insert into ledger (tenant, ledger, head, floor, items, stamp)
    select asked.tenant, asked.ledger, 0, 0, 0, 0
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
    select found.tenant, found.ledger, found.head, found.items, found.stamp
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
  findSeqs: `
    select asked.at, found.seq
    from unnest($1::text[], $2::text[], $3::text[])
      with ordinality as asked (tenant, ledger, cid, at)
    ${findMeta}`,
  knowBlobs: `
    select asked.at, found.item
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

  /** Moves blobs out of the inventory or back into it. */
  setRetired: `
    update listing set retired = not listing.retired
    from (
      select found.*
      from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::boolean[])
        as asked (tenant, ledger, store, item, retired)
      ${findListing} offset 0
    ) as found
    where listing.ctid = found.place
      and listing.tenant = found.tenant and listing.ledger = found.ledger
      and listing.item = found.item`,

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
      returning meta.tenant, meta.ledger, meta.seq
    ), unread as (
      delete from head using (select found.* from gone as asked ${findHead} offset 0) as found
      where head.ctid = found.place
        and head.tenant = found.tenant and head.ledger = found.ledger and head.seq = found.seq
    )
    update ledger set head = head + 1, floor = head + 1, stamp = $4::bigint
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
      select head, floor, items, (select count(*) from page) > $4::bigint as more, coalesce(
        (select max(seq) from (select seq from page order by seq limit $4::bigint) as shown
          where (select count(*) from page) > $4::bigint),
        greatest(head, $3::bigint)) as up_to
      from ledger where tenant = $1::text and ledger = $2::text
    )
    select 'bounds' as part, up_to as seq, floor as item, more, items,
      null::text as cid, null::text as parents, null::text as blobs, null::bytea as data
    from bounds
    union all
    select 'meta', seq, 0, null, null, cid, parents, blobs, data from page
    where seq <= (select up_to from bounds)
    union all
    (select 'key', seq, item, null, null, null, null, null, value from key
    where tenant = $1::text and ledger = $2::text and seq > $3::bigint
      and seq <= (select case when more then up_to else 9223372036854775807 end from bounds)
    order by seq, item)`,
  readHeads: `
    select 'bounds' as part, head as seq, floor as item,
      null::text as cid, null::text as parents, null::text as blobs, null::bytea as data
    from ledger where tenant = $1::text and ledger = $2::text
    union all
    (select 'meta', found.seq, 0, cid, parents, blobs, data
    from (select tenant, ledger, seq from head
      where tenant = $1::text and ledger = $2::text order by seq) as heads
    cross join lateral (
      select seq, cid, parents, blobs, data from meta
      where tenant = heads.tenant and ledger = heads.ledger and seq >= heads.seq
      order by seq limit 1
    ) as found)
    union all
    (select 'key', seq, item, null, null, null, value from key
    where tenant = $1::text and ledger = $2::text order by seq, item)`,

  findBlobs: `
    select store, cid, digest, size, kept, case when $5::text::bigint > 0
      and sum(size * kept) over (order by at) <= $5::text::bigint then bytes end as bytes
    from (
      select asked.at, found.*, (found.bytes is not null)::int as kept
      from unnest($1::text[], $2::text[], $3::text[], $4::text[])
        with ordinality as asked (tenant, ledger, store, cid, at)
      ${findBlob}
    ) as found
    order by at`,
  findItem: `
    select item from blob
    where tenant = $1::text and ledger = $2::text and store = $3::text and cid = $4::text`,
  listBlobs: `
    (select store, cid, size, item from listing
    where tenant = $1::text and ledger = $2::text and store = $3::text and not retired
      and item < $4::bigint order by item desc limit $5::bigint)
    union all
    (select store, cid, size, item from listing
    where tenant = $1::text and ledger = $2::text and store = $3::text and retired
      and item < $4::bigint order by item desc limit $5::bigint)
    order by item desc limit $5::bigint`,
  readInventory: `
    select store, cid, size from listing
    where tenant = $1::text and ledger = $2::text and store = 'car' and not retired
    order by item desc limit $3::bigint`,

  insertHeld: `
    insert into held (tenant, ledger, cid, parents, blobs, data, item)
    select $1::text, $2::text, cid, parents, blobs, decode(data, 'base64'), at + (
      select coalesce(max(item), 0) from held where tenant = $1::text and ledger = $2::text
    )
    from unnest($3::text[], $4::text[], $5::text[], $6::text[])
      with ordinality as given (cid, parents, blobs, data, at)
    where $7::bigint > (
      select count(*) from held where tenant = $1::text and ledger = $2::text
    )
    on conflict do nothing`,
  readHeld: `
    select cid, parents, blobs, data from held
    where tenant = $1::text and ledger = $2::text order by item`,
  deleteHeld: `
    delete from held
    where tenant = $1::text and ledger = $2::text and cid = any($3::text[])`,
  countHeld: `
    select tenant, ledger, count(*) as metas from held
    where (tenant, ledger) > ($1::text, $2::text)
    group by tenant, ledger order by tenant, ledger limit $3::bigint`,

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
