"""Word2Vec in gensim: trains on a file of one text a line, saves its vectors, and prints one JSON line."""

import argparse
import json
import time

from gensim.models.word2vec import LineSentence, Word2Vec


def peak_memory():
    """In bytes; this process's own, unlike what getrusage begins with: its parent's."""
    with open("/proc/self/status", encoding="utf-8") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--text", required=True)
    parser.add_argument("--save", required=True)
    parser.add_argument("--dim", type=int, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    arguments = parser.parse_args()
    model = Word2Vec(vector_size=arguments.dim, window=5, negative=5, min_count=5, sample=1e-3, sg=1, alpha=0.025, min_alpha=1e-4,
                     workers=arguments.threads, seed=arguments.seed)
    sentences = LineSentence(arguments.text)
    model.build_vocab(sentences)  # not counted: neither side's reading for the vocabulary is
    words = int(sum(model.wv.get_vecattr(word, "count") for word in model.wv.index_to_key))
    begin = time.perf_counter()
    model.train(sentences, total_examples=model.corpus_count, epochs=arguments.epochs)
    seconds = time.perf_counter() - begin
    model.wv.save_word2vec_format(arguments.save, binary=True)
    print(json.dumps({"words": words * arguments.epochs, "seconds": seconds, "words_per_s": words * arguments.epochs / seconds,
                      "peak_rss_bytes": peak_memory()}))


if __name__ == "__main__":
    main()
