"""Word vectors of the same text: tensair, gensim, fastText and the C program, in turns, medians; words a second and quality beside
each other. fastText and the C program, which take longer, on one thread and where they can be installed.

    bench/peers/run.sh word2vec [--data FOLDER] [--dims 100,300] [--epochs 1] [--repetitions 5] [--threads 1,2] [--nodes 1,2]
                                [--only SYSTEM] [--json FILE] [--plot FILE]

Both read one file of lower-case words, a text a line, with the same hyper-parameters (window 5, 5 negatives, min count 5, sample
1e-3, rate 0.025 falling to 1e-4) and know how often each word comes before they begin. Neither side's count is in the time.
A side that is to use one thread is bound to one core, with all that it does: reading, sampling, training.
"""

import argparse
import importlib.util
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile

from quality import quality

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
SAMPLE = os.path.join(ROOT, "build", "release", "samples", "word2vec")


def prepare(source, target):
    """Of a TSV's last column its words, a text a line."""
    word = re.compile(r"[a-z0-9]+")
    with open(source, encoding="utf-8", errors="replace") as lines, open(target, "w", encoding="utf-8") as out:
        for line in lines:
            words = word.findall(line.rsplit("\t", 1)[-1].lower())
            if words:
                out.write(" ".join(words) + "\n")


def last_json(command, cores):
    command = ["taskset", "-c", ",".join(map(str, range(cores))), *map(str, command)]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ, OMP_NUM_THREADS="1"))
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    return done.stdout


def run_rival(script, text, vectors, dim, epochs, threads, seed):
    command = [sys.executable, os.path.join(HERE, script), "--text", text, "--save", vectors, "--dim", dim, "--epochs", epochs,
               "--threads", threads, "--seed", seed]
    return json.loads(last_json(command, threads).strip().splitlines()[-1])


def others():
    """The rivals that are there besides gensim: (name, script)."""
    there = []
    if importlib.util.find_spec("fasttext"):
        there.append(("fastText", "fasttext_side.py"))
    else:
        print("word2vec: without fastText, which is not installed", file=sys.stderr)
    if subprocess.run([sys.executable, os.path.join(HERE, "c_side.py"), "--build"], check=False).returncode == 0:
        there.append(("C program", "c_side.py"))
    else:
        print("word2vec: without the C program, which could not be fetched and compiled", file=sys.stderr)
    return there


def run_tensair(text, vectors, dim, epochs, threads, nodes, seed, extra):
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = [SAMPLE, "--quiet", "--data", text, "--vocabulary", "counted", "--evaluate", "none", "--dim", dim, "--epochs", epochs,
                   "--trainers", threads, "--threads", 1, "--seed", seed, "--save", vectors, "--json", file.name, *extra]
        if nodes > 1:
            command += ["--local", nodes]
        last_json(command, threads * nodes)
        figures = json.load(open(file.name, encoding="utf-8"))
    return {key: float(figures[key]) for key in ("words", "seconds", "words_per_s", "bytes_sent", "peak_rss_bytes") if key in figures}


def numbers(text):
    return [int(part) for part in text.split(",")]


def median_of(runs, key):
    values = [run[key] for run in runs if key in run]
    return statistics.median(values) if values else None


def plot(rows, path):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    figure, axes = pyplot.subplots(1, 2, figsize=(11, 0.5 * len(rows) + 1.5), sharey=True)
    names = [f"{row['system']}, dim {row['dim']}, {row['epochs']} pass{'es' if row['epochs'] > 1 else ''}" for row in rows]
    colours = ["#4c72b0" if row["system"].startswith("tensair") else "#bbbbbb" for row in rows]
    axes[0].barh(names, [row["words_per_s"] / 1000 for row in rows], color=colours)
    axes[0].set_xlabel("1,000 words/s")
    axes[1].barh(names, [row["wordsim353"] for row in rows], color=colours)
    axes[1].set_xlabel("WordSim-353, Spearman")
    axes[0].invert_yaxis()
    figure.tight_layout()
    figure.savefig(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=os.environ.get("TENSAIR_DATA"))
    parser.add_argument("--dims", type=numbers, default=[100, 300])
    parser.add_argument("--epochs", type=numbers, default=[1])
    parser.add_argument("--threads", type=numbers, default=[1, 2])
    parser.add_argument("--nodes", type=numbers, default=[2], help="tensair too on so many nodes of one thread each")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--only", choices=["tensair", "gensim"])
    parser.add_argument("--tensair-flags", default="", help="more flags for the sample")
    parser.add_argument("--json")
    parser.add_argument("--plot")
    arguments = parser.parse_args()
    text = arguments.data and os.path.join(arguments.data, "text", "enwiki2018.tsv")
    if not text or not os.path.exists(text):
        sys.exit("word2vec: no text: set TENSAIR_DATA to a folder with text/enwiki2018.tsv and wordeval")
    if not os.path.exists(SAMPLE):
        sys.exit("word2vec: build samples/word2vec first: scripts/demo.sh word2vec does")
    extra = arguments.tensair_flags.split()
    rivals = others() if arguments.only is None else []
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        plain = os.path.join(folder, "text.txt")
        vectors = os.path.join(folder, "vectors.bin")
        prepare(text, plain)
        for dim in arguments.dims:
            for epochs in arguments.epochs:
                sides = {}
                for threads in arguments.threads:
                    name = f"{threads} thread{'s' if threads > 1 else ''}"
                    sides["gensim", name] = lambda seed, t=threads: run_rival("gensim_side.py", plain, vectors, dim, epochs, t, seed)
                    sides["tensair", name] = lambda seed, t=threads: run_tensair(plain, vectors, dim, epochs, t, 1, seed, extra)
                for nodes in arguments.nodes:
                    if nodes > 1:
                        sides["tensair", f"{nodes} nodes"] = lambda seed, n=nodes: run_tensair(plain, vectors, dim, epochs, 1, n, seed,
                                                                                              ["--batch", 50_000, "--noise", 0.5, *extra])
                for system, script in rivals:
                    sides[system, "1 thread"] = lambda seed, s=script: run_rival(s, plain, vectors, dim, epochs, 1, seed)
                results = {side: [] for side in sides if arguments.only in (None, side[0])}
                for seed in range(1, arguments.repetitions + 1):
                    for side, runs in results.items():
                        run = sides[side](seed)
                        run.update(quality(vectors, os.path.join(arguments.data, "wordeval")))
                        runs.append(run)
                        print(f"  seed {seed} {' '.join(side)}: {run['words_per_s']:.0f} words/s, WordSim {run['wordsim353']:.3f}", file=sys.stderr)
                for (system, name), runs in results.items():
                    row = {"workload": "word2vec", "system": f"{system}, {name}", "dim": dim, "epochs": epochs, "unit": "words/s"}
                    for key in ("words_per_s", "wordsim353", "mturk771", "analogies", "peak_rss_bytes", "bytes_sent"):
                        row[key] = median_of(runs, key)
                    row["value"] = row["words_per_s"]
                    row["runs"] = runs
                    rows.append(row)
    print(f"word2vec, English Wikipedia, medians of {arguments.repetitions}")
    print(f"  {'':<24}{'dim':>4}{'passes':>7}{'words/s':>10}{'of gensim':>10}{'WordSim-353':>12}{'MTurk-771':>10}{'analogies':>10}{'MB':>7}")
    for row in rows:
        rival = next((other for other in rows if other["system"] == "gensim, 1 thread" and (other["dim"], other["epochs"]) == (row["dim"], row["epochs"])), None)
        share = f"{row['value'] / rival['value']:.2f}" if rival else "-"
        print(f"  {row['system']:<24}{row['dim']:>4}{row['epochs']:>7}{row['value']:>10.0f}{share:>10}{row['wordsim353']:>12.3f}{row['mturk771']:>10.3f}"
              f"{100 * row['analogies']:>9.1f}%{(row['peak_rss_bytes'] or 0) / 1e6:>7.0f}")
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(rows, file, indent=2)
    if arguments.plot:
        plot(rows, arguments.plot)


if __name__ == "__main__":
    main()
