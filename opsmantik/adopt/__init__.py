"""Taking over a database of the first generation.

Enters: its address (it is only read, in one snapshot) and ours. Leaves: what is wrong there and how often,
then its people,
sites, visits, events and leads here, and a comparison of the figures of both sides, each difference explained or told.

old       the connection to the first generation's database, and what it has
faults    what may be wrong there, how it is counted, and what becomes of it here
people    accounts, sites and members
visits    what a visit's rows there are here
leads     what a lead's row there is here: its decision, and its row in the ledger
store     writing to our database
figures   what there is on either side, by site and month
run       the steps in their order
"""
