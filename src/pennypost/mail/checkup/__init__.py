"""Find out what is wrong with a domain of ours, and say what to do: `pennypost doctor`.

findings      what a check says
published     what the DNS has, beside what it should have: calculations that ask the DNS
identity      who we are to others: addresses, names that lead back, blocklists, SPF
certificates  whether they hold, and for whom
reachable     what only shows on the network: port 25, the policy over HTTPS, the clock
"""
