"""Exports of plants, made of the same rows in every form: read, learnt and watched with nothing edited by hand."""
