"""Accuracy, size and speed of image classifiers of every kind, on the same images.

    results = kerasq.evaluation.evaluate(["float.keras", "saved_model", "model.kq"], images, labels)
    print(kerasq.evaluation.format_table(results))

classifiers.py opens a file as a function from pixels to scores, sources.py and tflite.py know the kinds of files, evaluate.py
counts and takes the time, results.py is what is found. TensorFlow is imported only where a model needs it.
"""

from kerasq.evaluation.classifiers import Classifier, EvaluationError, open_classifiers
from kerasq.evaluation.evaluate import BATCH_SIZE, compare, evaluate
from kerasq.evaluation.results import Result, format_table

__all__ = ["BATCH_SIZE", "Classifier", "EvaluationError", "Result", "compare", "evaluate", "format_table", "open_classifiers"]
