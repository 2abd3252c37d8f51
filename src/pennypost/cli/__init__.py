"""The `pennypost` command. Each file holds one group of commands and is imported only when one of them is called.

main      the groups, by name
options   --config and --set; what a failure looks like
asking    passwords, and whether somebody is sure
output    tables for people, JSON for programs
running   open the store, run one operation, close it
"""
