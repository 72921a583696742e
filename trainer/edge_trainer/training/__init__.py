"""The stages that change weights or limits, each a function of a configuration that leaves files in the run's folder.

`loop` trains whatever loss it is given, alone or with others (`parallel`); `pretrain` and `finetune` say which loss and
which windows; `objectives` are what is learnt without labels; `calibrate` and `fit` change no weight of their own.
"""
