"""The C program word2vec: fetched as source, compiled, run on a file of one text a line; saves its vectors and prints one JSON line.

It begins every run from the same random numbers, so --seed changes nothing.
"""

import glob
import json
import os
import re
import resource
import subprocess
import sys
import tarfile

from side import flags

SOURCE = "word2vec==0.11.1"  # a package that carries the C program as it was published
FOLDER = os.path.join(sys.prefix, "c_program")
PROGRAM = os.path.join(FOLDER, "word2vec")


def build():
    """Makes the program unless it is there."""
    if os.path.exists(PROGRAM):
        return
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest", FOLDER]
    subprocess.run([*pip, SOURCE], check=True, stdout=subprocess.DEVNULL)
    archive, = glob.glob(os.path.join(FOLDER, "*.tar.gz"))
    with tarfile.open(archive) as files:
        name = next(name for name in files.getnames() if name.endswith("/includes/word2vec.c"))
        source = files.extractfile(name).read()
    with open(os.path.join(FOLDER, "word2vec.c"), "wb") as file:
        file.write(source)
    # As its makefile says.
    options = ["-pthread", "-O3", "-march=native", "-funroll-loops", "-w"]
    subprocess.run(["cc", os.path.join(FOLDER, "word2vec.c"), "-o", PROGRAM + ".new", *options, "-lm"], check=True)
    os.replace(PROGRAM + ".new", PROGRAM)


def main():
    build()
    if sys.argv[1:] == ["--build"]:  # and nothing else
        return
    arguments = flags()
    command = [PROGRAM, "-train", arguments.text, "-output", arguments.save, "-size", arguments.dim, "-window", 5, "-negative", 5, "-hs", 0,
               "-cbow", 0, "-min-count", 5, "-sample", 1e-3, "-alpha", 0.025, "-iter", arguments.epochs, "-threads", arguments.threads,
               "-binary", 1]
    said = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout
    words = int(re.search(r"Words in train file: (\d+)", said)[1]) * arguments.epochs
    # The last that it says of its speed: of training alone, by processor time.
    speed = 1000 * arguments.threads * float(re.findall(r"Words/thread/sec: ([0-9.]+)k", said)[-1])
    print(json.dumps({"words": words, "seconds": words / speed, "words_per_s": speed,
                      "peak_rss_bytes": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024}))


if __name__ == "__main__":
    main()
