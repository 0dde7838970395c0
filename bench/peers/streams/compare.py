"""The streaming benchmarks in tensair and in Apache Flink, in turns; medians, records a second.

    bench/peers/run.sh streams [--repetitions N] [--quick] [--json FILE] [--text FILE] [--build build/release]

Flink runs in one JVM with parallelism 1 and reuses objects; its time is that of the job, without the JVM's start, by the clock. tensair's and the
loop's is processor time, of one thread. Words are counted in --text (default: $TENSAIR_DATA/text/enwiki2018.tsv), with a result for each
word. Needs a JDK.
"""
import argparse, json, os, pathlib, shutil, statistics, subprocess, sys, tempfile

ROOT = pathlib.Path(__file__).resolve().parents[3]
OPENS = [f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in ("java.lang", "java.util", "java.time", "java.nio")]


def flink_jars():
    import pyflink

    return sorted((pathlib.Path(pyflink.__path__[0]) / "lib").glob("*.jar"))


def main():
    flags = argparse.ArgumentParser()
    flags.add_argument("--repetitions", type=int, default=5)
    flags.add_argument("--quick", action="store_true", help="once, with fewer records")
    flags.add_argument("--json", type=pathlib.Path)
    flags.add_argument("--text", type=pathlib.Path, default=pathlib.Path(os.environ.get("TENSAIR_DATA", ""), "text", "enwiki2018.tsv"))
    flags.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "release")
    flags = flags.parse_args()
    if not shutil.which("javac"):
        sys.exit("streams: no JDK: install one (javac), Flink needs it")
    records = 10_000_000 if flags.quick else 50_000_000
    repetitions = 1 if flags.quick else flags.repetitions

    # Name, tensair's program and flags, the start of its workload's name, its system, Flink's arguments.
    cases = [
        ("map, map, filter, sum", "chain", ["--records", str(records)], "chain", "tensair", ["chain", str(records)]),
        ("Yahoo streaming benchmark", "windows", ["--events", str(records), "--only-ysb"], "Yahoo", "tensair", ["ysb", str(records // 2)]),
    ]
    if flags.text.is_file():
        cases.append(("word count, a result a word", "wordcount", ["--text", str(flags.text)], "wordcount", "tensair, running counts",
                      ["wordcount", str(flags.text)]))
    else:
        print(f"without word count: no text {flags.text} (--text)")

    figures = {}  # (case, side): values
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        jars = ":".join(map(str, flink_jars()))
        subprocess.run(["javac", "-cp", jars, "-d", folder, pathlib.Path(__file__).with_name("FlinkStreams.java")], check=True)
        for _ in range(repetitions):
            for name, program, arguments, workload, system, flink in cases:
                out = folder / "rows.json"
                subprocess.run([flags.build / "bench" / program, *arguments, "--repetitions", "1", "--json", out], check=True,
                               stdout=subprocess.DEVNULL)
                rows = [row for row in json.loads(out.read_text()) if row["workload"].startswith(workload) and "CPU" in row["unit"]]
                for side, wanted in (("limit", "limit"), ("tensair", system)):
                    figures.setdefault((name, side), []).append(next(row["value"] for row in rows if row["system"] == wanted))
                run = subprocess.run(["java", *OPENS, "-Xmx4g", "-cp", f"{jars}:{folder}", "FlinkStreams", *flink], check=False,
                                     capture_output=True, text=True)
                result = [line.split() for line in run.stdout.splitlines() if line.startswith("RESULT ")]
                if run.returncode or not result:
                    sys.exit(f"streams: Flink's {name} failed:\n{run.stderr[-2000:]}")
                figures.setdefault((name, "Flink"), []).append(int(result[0][1]) / float(result[0][2]))

    rows = []
    for name, *_ in cases:
        limit = statistics.median(figures[name, "limit"])
        print(f"{name:<40}{'records/s':>14}{'of limit':>12}")
        for side, label in (("limit", "loop by hand (the limit)"), ("tensair", "tensair"), ("Flink", "Flink 2.3")):
            value = statistics.median(figures[name, side])
            print(f"  {label:<38}{value / 1e6:>12.2f} M{value / limit:>12.3f}")
            rows.append({"workload": name, "system": side, "value": value, "unit": "records/s", "of_limit": value / limit})
    if flags.json:
        flags.json.write_text(json.dumps(rows, indent=2) + "\n")


main()
