"""Running a .kq file: the calling pattern of tf.lite.Interpreter, and whole batches in one call.

    interpreter = kerasq.Interpreter(model_path="model.kq")
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    y = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])

    y = interpreter.predict(images)          # any number of examples, float or stored integers
    y = interpreter.get_signature_runner()(image=images)["scores"]

interpreter.py is the interface, values.py the tensors that its calls set and read; engines.py opens a model for one of the
engines: native.py, which runs the C library of kerasq.runtime, and reference.py in NumPy, which defines what is right. None
imports TensorFlow or Keras.
"""

from kerasq.interpreter.interpreter import Interpreter

__all__ = ["Interpreter"]
