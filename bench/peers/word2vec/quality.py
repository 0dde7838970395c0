"""How good word vectors are, whoever made them: read by gensim, measured by gensim and SciPy."""

import json
import os
import sys

import numpy
from gensim.models import KeyedVectors
from scipy.stats import spearmanr


def similarity(vectors, path):
    """(Spearman's correlation, pairs with a word that is not known)"""
    said, found, unknown = [], [], 0
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.startswith("#") or not line.strip():
                continue
            a, b, score = line.rstrip("\n").split("\t")[:3]
            a, b = a.lower(), b.lower()
            if a in vectors and b in vectors:
                said.append(float(score))
                found.append(vectors.similarity(a, b))
            else:
                unknown += 1
    return float(spearmanr(said, found)[0]), unknown


def analogies(vectors, path):
    """The share of Google's questions, all of whose words are known, of which the nearest to b - a + c (these left out) is the answer."""
    questions = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            words = line.lower().split()
            if line.startswith(":") or len(words) != 4 or any(word not in vectors for word in words):
                continue
            questions.append([vectors.get_index(word) for word in words])
    questions = numpy.array(questions)
    unit = vectors.get_normed_vectors()
    right = 0
    for some in numpy.array_split(questions, max(1, len(questions) // 256)):
        a, b, c, answer = some.T
        cosines = (unit[b] - unit[a] + unit[c]) @ unit.T
        numpy.put_along_axis(cosines, some[:, :3], -9, axis=1)
        right += (cosines.argmax(axis=1) == answer).sum()
    return right / len(questions)


def quality(path, folder):
    vectors = KeyedVectors.load_word2vec_format(path, binary=path.endswith(".bin"))
    wordsim, wordsim_unknown = similarity(vectors, os.path.join(folder, "wordsim353.tsv"))
    mturk, mturk_unknown = similarity(vectors, os.path.join(folder, "EN-MTurk-771.txt"))
    return {"wordsim353": wordsim, "wordsim353_unknown": wordsim_unknown, "mturk771": mturk, "mturk771_unknown": mturk_unknown,
            "analogies": float(analogies(vectors, os.path.join(folder, "questions-words.txt")))}


if __name__ == "__main__":
    print(json.dumps(quality(sys.argv[1], sys.argv[2])))
