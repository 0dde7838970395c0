# ctest: timeout 300
"""Nexmark's results are those of DuckDB's SQL over the same events, row for row: on one node, two and five, of one worker and
of three."""
import itertools, os, pathlib, subprocess, sys, tempfile

try:
    import duckdb
except ImportError:
    print("skipped: no duckdb (scripts/test.sh installs it into .venv)")
    sys.exit(77)

PROGRAM = pathlib.Path(os.environ["TENSAIR_BUILD_DIR"], "samples", "nexmark")
EVENTS = 20_000

TABLES = {
    "persons": "id bigint, name varchar, city varchar, state varchar, ts bigint",
    "auctions": "id bigint, item varchar, description varchar, initial bigint, reserve bigint, ts bigint, expires bigint, seller bigint, category bigint",
    "bids": "auction bigint, bidder bigint, price bigint, channel varchar, url varchar, ts bigint",
}

S = 1_000_000  # a second
DAY = 86_400 * S
WON = """
    select a.*, b.bidder, b.price, b.ts as bid_ts
    from auctions a join bids b on a.id = b.auction and b.ts between a.ts and a.expires
    qualify row_number() over (partition by a.id order by b.price desc, b.ts, b.bidder) = 1"""


def ranks(what):
    """How many: of any price, then of low ones, of middle ones and of high ones."""
    return f"count({what}), " + ", ".join(f"count({what}) filter ({price})" for price in ("price < 10000", "price between 10000 and 999999", "price >= 1000000"))


HOT = f"""
    with ends as (select unnest(range((ts // {2 * S} + 1) * {2 * S}, ts + {10 * S} + 1, {2 * S})) as wend, auction from bids),
         counts as (select wend, auction, count(*) as n from ends group by all)
    select auction, n, wend from counts qualify n = max(n) over (partition by wend)"""

QUERIES = {
    "0": "select auction, bidder, price, channel, url, ts from bids",
    "1": "select auction, bidder, printf('%.3f', price * 0.908::double), ts from bids",
    "2": "select auction, price from bids where auction % 123 = 0",
    "3": "select p.name, p.city, p.state, a.id from auctions a join persons p on a.seller = p.id where a.category = 10 and p.state in ('OR', 'ID', 'CA')",
    "4": f"select category, printf('%.6f', avg(price::double)) from ({WON}) group by category",
    "5": HOT,
    "6": f"select seller, id, printf('%.6f', avg(price::double) over (partition by seller order by expires, id rows between 9 preceding and current row)) from ({WON})",
    "7": f"select auction, price, bidder, ts from bids qualify price = max(price) over (partition by ts // {10 * S})",
    "8": f"select distinct p.id, p.name, p.ts // {10 * S} from persons p join auctions a on p.id = a.seller and p.ts // {10 * S} = a.ts // {10 * S}",
    "9": f"select id, item, description, initial, reserve, ts, expires, seller, category, id, bidder, price, bid_ts from ({WON})",
    "11": f"""
        with gaps as (select bidder, ts, coalesce(ts - lag(ts) over (partition by bidder order by ts) >= {10 * S}, true) as begins from bids),
             sessions as (select bidder, ts, sum(begins::int) over (partition by bidder order by ts range unbounded preceding) as number from gaps)
        select bidder, count(*), min(ts), max(ts) + {10 * S} from sessions group by bidder, number""",
    "13": "select auction, bidder, price, ts, (auction % 10000) * (auction % 10000) from bids",
    "16": f"select channel, ts // {DAY}, max(strftime(make_timestamp(ts), '%H:%M')), {ranks('*')}, {ranks('distinct bidder')}, {ranks('distinct auction')} from bids group by channel, ts // {DAY}",
    "17": f"select auction, ts // {DAY}, {ranks('*')}, min(price), max(price), printf('%.6f', sum(price)::double / count(*)::double), sum(price)::bigint from bids group by auction, ts // {DAY}",
    "18": "select auction, bidder, price, channel, url, ts from bids qualify row_number() over (partition by bidder, auction order by ts desc, price desc, url desc) = 1",
    "19": "select auction, bidder, price, channel, url, ts, row_number() over (partition by auction order by price desc, ts, bidder) as rank from bids qualify rank <= 10",
    "20": "select b.auction, b.bidder, b.price, b.channel, b.url, b.ts, a.item, a.description, a.initial, a.reserve, a.ts, a.expires, a.seller, a.category from bids b join auctions a on b.auction = a.id where a.category = 10",
    "22": "select auction, bidder, price, channel, split_part(url, '/', 4), split_part(url, '/', 5), split_part(url, '/', 6) from bids",
}


def rows(path):
    return sorted(path.read_text().splitlines()) if path.exists() else None


def run(folder, *flags):
    subprocess.run([PROGRAM, "--events", str(EVENTS), "--seed", "7", "--output", folder, "--quiet", *flags], check=True)


failed = []
with tempfile.TemporaryDirectory() as top:
    top = pathlib.Path(top)
    run(top / "tables", "--tables", "--query", "0")
    database = duckdb.connect()
    for table, columns in TABLES.items():
        database.execute(f"create table {table} ({columns})")
        database.execute(f"copy {table} from '{top / 'tables' / table}.csv' (header false, auto_detect false)")
    for nodes, workers in itertools.product((1, 2, 5), (1, 3)):
        results = top / f"{nodes}x{workers}"
        run(results, "--local", str(nodes), "--threads", str(workers))
        for query, sql in QUERIES.items():
            expected = sorted(",".join(map(str, row)) for row in database.execute(sql).fetchall())
            found = rows(results / f"q{query}.csv")
            if not expected:
                failed.append(f"query {query} has no rows to compare")
            elif found != expected:
                found = found or []
                wrong = [f"+ {row}" for row in sorted(set(found) - set(expected))[:3]]
                wrong += [f"- {row}" for row in sorted(set(expected) - set(found))[:3]]
                failed.append(f"query {query} on {nodes} nodes x {workers}: {len(found)} rows, {len(expected)} expected\n  " + "\n  ".join(wrong))
        # Which processing-time window a bid falls into is nobody's to know: all bids are counted, each once.
        counts = {}
        for row in rows(results / "q12.csv"):
            bidder, bids = row.split(",")
            counts[int(bidder)] = counts.get(int(bidder), 0) + int(bids)
        if counts != dict(database.execute("select bidder, count(*) from bids group by bidder").fetchall()):
            failed.append(f"query 12 on {nodes} nodes x {workers} counts other bids")
print("\n".join(failed) if failed else f"{len(QUERIES) + 1} queries agree on 1, 2 and 5 nodes of 1 and 3 workers")
sys.exit(bool(failed))
