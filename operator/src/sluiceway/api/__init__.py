"""What users write: TaskQueue and WorkerClass, their rules, and the CRDs made from them.

``load`` reads YAML, ``validate`` says everything that is wrong with an object, ``crds``
writes the CustomResourceDefinitions; the models themselves are in ``taskqueue`` and
``workerclass``.
"""
