# Completion for bash. A test compares it with `k4t --help`.

_k4t_services() {
  # Names come from the cluster itself; where it cannot be read, nothing is offered.
  "${COMP_WORDS[0]}" ps 2>/dev/null </dev/null | awk 'NR > 1 { print $1 }' | sort -u
}

_k4t_nodes() { "${COMP_WORDS[0]}" node ls 2>/dev/null </dev/null | awk 'NR > 1 { print $1 }'; }

_k4t_drivers() { "${COMP_WORDS[0]}" plugin ls 2>/dev/null </dev/null | awk 'NR > 1 { print $1 }' | sort -u; }

_k4t_words() { mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2"); }

_k4t() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
  local global='-h --help -c --config -o --output -v --verbose --take-over'
  local command= sub= i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      -c | --config | -o | --output | -f | --file | -n | --tail | --folder | --why | --overwrite | --driver | --address | --option | --label | \
        --ports | --subnet | --public-address | --public-ports | --cpu | --memory | --archive | --from | --node) ((i++)) ;;
      -*) ;;
      *) if [ -z "$command" ]; then command=${COMP_WORDS[i]}; elif [ -z "$sub" ]; then sub=${COMP_WORDS[i]}; fi ;;
    esac
  done

  case $before in
    -o | --output) _k4t_words 'text json' "$word"; return ;;
    --then) _k4t_words 'poweroff' "$word"; return ;;
    --from | --node) _k4t_words "$(_k4t_nodes)" "$word"; return ;;
    -c | --config | -f | --file | --folder | --archive | --key | --passphrase-file | --path | --identity | --known-hosts)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -f -- "$word")
      return ;;
    --driver) _k4t_words "$(_k4t_drivers)" "$word"; return ;;
    -n | --tail | --at | --cluster | --why | --overwrite | --address | --option | --label | --ports | --subnet | \
      --public-address | --public-ports | --cpu | --memory) return ;;
  esac

  case $command in
    '') if [[ $word == -* ]]; then _k4t_words "$global --version" "$word"; else
          _k4t_words 'plan apply delete sync node repair image witness init backup queue master restore adopt status diff txn ps logs version plugin config doctor' "$word"; fi ;;
    plan) _k4t_words "$global -f --file" "$word" ;;
    apply) _k4t_words "$global -f --file --force" "$word" ;;
    delete) if [[ $word == -* ]]; then _k4t_words "$global -y --yes" "$word"; else
          _k4t_words "$(_k4t_services)" "$word"; fi ;;
    sync) _k4t_words "$global --repair --overwrite" "$word" ;;
    diff) if [[ $word == -* ]]; then _k4t_words "$global -f --file" "$word"; else
          _k4t_words "$(_k4t_services)" "$word"; fi ;;
    repair) if [[ $word == -* ]]; then _k4t_words "$global -y --yes --why" "$word"; else
          _k4t_words "$(_k4t_nodes)" "$word"; fi ;;
    node)
      if [ -n "$sub" ] && [[ $word != -* ]]; then _k4t_words "$(_k4t_nodes)" "$word"; return; fi
      case $sub in
        '') _k4t_words "ls show add cordon uncordon drain rm $global" "$word" ;;
        add) _k4t_words "$global --driver --address --option --label --ports --subnet --public-address --public-ports --cpu --memory --force" "$word" ;;
        cordon) _k4t_words "$global --why" "$word" ;;
        drain) _k4t_words "$global -y --yes --why" "$word" ;;
        rm) _k4t_words "$global --lost -y --yes --why" "$word" ;;
        *) _k4t_words "$global" "$word" ;;
      esac ;;
    image)
      case $sub in
        '') _k4t_words "push ls $global" "$word" ;;
        push) _k4t_words "$global --archive --from --node" "$word" ;;
        *) _k4t_words "$global -f --file --node" "$word" ;;
      esac ;;
    witness) if [ -n "$sub" ]; then _k4t_words "$global" "$word"; else
          _k4t_words "ls suggest add rm replace $global" "$word"; fi ;;
    backup) if [ -n "$sub" ] && [[ $word != -* ]]; then _k4t_words "$(_k4t_nodes)" "$word"
          elif [ -n "$sub" ]; then _k4t_words "$global" "$word"; else
          _k4t_words "now ls verify $global" "$word"; fi ;;
    queue) if [ -n "$sub" ]; then _k4t_words "$global" "$word"; else _k4t_words "add ls rm $global" "$word"; fi ;;
    master)
      case $sub in
        '') _k4t_words "run status $global" "$word" ;;
        run) _k4t_words "$global --then" "$word" ;;
        *) _k4t_words "$global" "$word" ;;
      esac ;;
    adopt) _k4t_words "$global --force --yes -y" "$word" ;;
    restore) _k4t_words "$global --from --at --key --passphrase-file --cluster --path --identity --known-hosts --force" "$word" ;;
    txn)
      case $sub in
        '') _k4t_words "ls show recover acknowledge $global" "$word" ;;
        recover) _k4t_words "$global --force --why" "$word" ;;
        *) _k4t_words "$global" "$word" ;;
      esac ;;
    ps) if [[ $word == -* ]]; then _k4t_words "$global" "$word"; else _k4t_words "$(_k4t_services)" "$word"; fi ;;
    logs) if [[ $word == -* ]]; then _k4t_words "$global -f --follow -n --tail -t --timestamps" "$word"; else
          _k4t_words "$(_k4t_services)" "$word"; fi ;;
    plugin)
      case $sub in
        show) if [[ $word == -* ]]; then _k4t_words "$global --folder" "$word"; else
                _k4t_words "$(_k4t_drivers)" "$word"; fi ;;
        ls) _k4t_words "$global --folder" "$word" ;;
        *) _k4t_words "ls show $global" "$word" ;;
      esac ;;
    config)
      case $sub in
        check) _k4t_words "$global -f --file" "$word" ;;
        schema) _k4t_words "cluster service $global" "$word" ;;
        *) _k4t_words "check schema $global" "$word" ;;
      esac ;;
    *) _k4t_words "$global" "$word" ;;
  esac
}
complete -F _k4t k4t
