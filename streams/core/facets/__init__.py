"""One module a facet: each folds one event into its facet of the customer, in any order."""
