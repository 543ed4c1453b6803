# Completion for fish. A test compares it with `k4t --help`.

function __k4t_services
    # Names come from the cluster itself; where it cannot be read, nothing is offered.
    k4t ps 2>/dev/null </dev/null | awk 'NR > 1 { print $1 }' | sort -u
end

complete -c k4t -f
complete -c k4t -s h -l help -d 'Show help'
complete -c k4t -s c -l config -r -F -d 'The cluster\'s file'
complete -c k4t -s o -l output -x -a 'text json' -d 'How results are shown'
complete -c k4t -s v -l verbose -d 'Show every step, and what drivers log'
complete -c k4t -l take-over -d 'Go on although another host\'s run did not end in order'
complete -c k4t -n __fish_use_subcommand -l version -d 'Show the version'

complete -c k4t -n __fish_use_subcommand -a plan -d 'Show what apply would do'
complete -c k4t -n __fish_use_subcommand -a apply -d 'Make services run and be reached as their files say'
complete -c k4t -n __fish_use_subcommand -a delete -d 'Take services away'
complete -c k4t -n __fish_use_subcommand -a sync -d 'Bring returned gateways and DNS servers to the latest version'
complete -c k4t -n __fish_use_subcommand -a status -d 'Show the cluster'
complete -c k4t -n __fish_use_subcommand -a ps -d 'List instances'
complete -c k4t -n __fish_use_subcommand -a logs -d 'Show what instances print'
complete -c k4t -n __fish_use_subcommand -a version -d 'Show the version'
complete -c k4t -n __fish_use_subcommand -a plugin -d 'Look at plugins'
complete -c k4t -n __fish_use_subcommand -a config -d 'Check configurations, print their schema'
complete -c k4t -n __fish_use_subcommand -a doctor -d 'Check every configured thing'

complete -c k4t -n '__fish_seen_subcommand_from plan' -s f -l file -r -F -d 'Service file or folder'
complete -c k4t -n '__fish_seen_subcommand_from apply' -s f -l file -r -F -d 'Service file or folder'
complete -c k4t -n '__fish_seen_subcommand_from apply' -l force -d 'Also beyond the removal limit'
complete -c k4t -n '__fish_seen_subcommand_from delete' -s y -l yes -d 'Do not ask'
complete -c k4t -n '__fish_seen_subcommand_from delete' -a '(__k4t_services)'
complete -c k4t -n '__fish_seen_subcommand_from sync' -l repair -d 'Also put back what was changed by hand'
complete -c k4t -n '__fish_seen_subcommand_from ps' -a '(__k4t_services)'
complete -c k4t -n '__fish_seen_subcommand_from logs' -s f -l follow -d 'Go on with new lines'
complete -c k4t -n '__fish_seen_subcommand_from logs' -s n -l tail -x -d 'Only the last lines'
complete -c k4t -n '__fish_seen_subcommand_from logs' -s t -l timestamps -d 'Put the time before each line'
complete -c k4t -n '__fish_seen_subcommand_from logs' -a '(__k4t_services)'
complete -c k4t -n '__fish_seen_subcommand_from plugin; and not __fish_seen_subcommand_from ls' -a ls -d 'List plugins'
complete -c k4t -n '__fish_seen_subcommand_from plugin; and __fish_seen_subcommand_from ls' -l folder -r -F -d 'Look here'
complete -c k4t -n '__fish_seen_subcommand_from config; and not __fish_seen_subcommand_from check schema' -a check -d 'Say everything that is wrong'
complete -c k4t -n '__fish_seen_subcommand_from config; and not __fish_seen_subcommand_from check schema' -a schema -d 'Print a JSON Schema'
complete -c k4t -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from check' -s f -l file -r -F -d 'Service file or folder'
complete -c k4t -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from schema' -a 'cluster service'
