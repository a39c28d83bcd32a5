// Happy_eyeballs connects to a name that has addresses of two families, IPv6 and IPv4, and
// tells of each attempt: where one address does not answer, the next one may.
//
//	node tcp_client/happy_eyeballs/main.js
'use strict'
const { Resolver } = require('node:dns').promises
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr, family, delay, dns } = parseArgs({ options: {
  addr: { type: 'string', default: 'localhost:8080' },
  family: { type: 'string', default: '0' },
  delay: { type: 'string', default: '0s' },
  dns: { type: 'string', default: '' }
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

//weave:connect
const socket = net.connect({
  host, port, family: +family,
  // Each address but the last has this long, 250 ms by default: then it is given up, and
  // the next one tried. Without autoSelectFamily there is but one attempt.
  autoSelectFamily: ms(delay) >= 0,
  autoSelectFamilyAttemptTimeout: ms(delay) > 0 ? ms(delay) : undefined,
  lookup: dns ? lookup : undefined // dns.lookup: the system's getaddrinfo
})
socket.on('lookup', (err, ip) => err || console.log('found', ip))
socket.on('connectionAttempt', (ip, port) => console.log('trying', at(ip, port)))
socket.on('connectionAttemptTimeout', (ip, port) => console.log('failed:', at(ip, port), 'given up'))
socket.on('connectionAttemptFailed', (ip, port, family, err) => // after destroy() too, with ECANCELED
  err.code === 'ECANCELED' || console.log('failed:', err.message))
//weave:end
socket.on('connect', () => {
  console.log('connected to', at(socket.remoteAddress, socket.remotePort),
    'from', at(socket.localAddress, socket.localPort))
})
socket.resume() // until the peer's FIN
socket.on('error', (err) => { // one for several addresses has no message
  console.error(`happy_eyeballs: ${err.message || err.code}`)
  process.exitCode = 1
})
socket.on('close', (hadError) => hadError || console.log('closed'))

// lookup asks the server that --dns names, for each family by itself. IPv6 comes first
// because we put it there; getaddrinfo sorts (RFC 6724).
async function lookup (host, { all, family }, callback) {
  const resolver = new Resolver()
  resolver.setServers([dns])
  const answers = await Promise.allSettled([6, 4].filter((f) => !family || f === family).map(async (f) =>
    (await resolver[`resolve${f}`](host)).map((address) => ({ address, family: f }))))
  const found = answers.flatMap(({ value }) => value ?? [])
  if (found.length === 0) callback(answers[0].reason)
  else if (all) callback(null, found)
  else callback(null, found[0].address, found[0].family)
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => socket.destroy())
}

function at (ip, port) {
  return /:/.test(ip) ? `[${ip}]:${port}` : `${ip}:${port}`
}

// ms reads a time as Go writes it: 1m30s, 200ms.
function ms (time) {
  const unit = { h: 3600e3, m: 60e3, s: 1e3, ms: 1 }
  const sum = [...time.matchAll(/([\d.]+)(ms|[hms])/g)].reduce((sum, [, n, u]) => sum + n * unit[u], 0)
  return time.startsWith('-') ? -sum : sum
}
