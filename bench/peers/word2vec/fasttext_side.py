"""fastText without subwords, which is Word2Vec: trains on a file of one text a line, saves its vectors, and prints one JSON line.

This version begins every run from the same random numbers, so --seed changes nothing.
"""

import json
import os
import re
import sys
import tempfile

import fasttext
import numpy
from gensim.models import KeyedVectors

from side import flags, peak_memory


def said_by(action):
    """What `action` returns, and what is written to the process's standard error meanwhile, by C++ too."""
    before = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            result = action()
        finally:
            os.dup2(before, 2)
            os.close(before)
        file.seek(0)
        return result, file.read().decode(errors="replace")


def main():
    arguments = flags()
    model, said = said_by(lambda: fasttext.train_unsupervised(
        arguments.text, model="skipgram", dim=arguments.dim, ws=5, neg=5, minCount=5, t=1e-3, lr=0.025, epoch=arguments.epochs,
        thread=arguments.threads, minn=0, maxn=0, bucket=1, loss="ns", verbose=2))
    names, counts = model.get_words(include_freq=True)
    words = int(sum(counts)) * arguments.epochs
    # The last that it says of its speed: of training alone, not of reading for the vocabulary.
    speeds = re.findall(r"words/sec/thread:\s+(\d+)", said)
    if not speeds:
        sys.exit(f"fastText does not say how fast it is: {said[-500:]}")
    speed = arguments.threads * float(speeds[-1])
    vectors = KeyedVectors(arguments.dim)
    vectors.add_vectors(names, numpy.array(model.get_input_matrix()[:len(names)]))
    vectors.save_word2vec_format(arguments.save, binary=True)
    print(json.dumps({"words": words, "seconds": words / speed, "words_per_s": speed, "peak_rss_bytes": peak_memory()}))


if __name__ == "__main__":
    main()
