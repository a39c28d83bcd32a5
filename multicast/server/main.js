// Server sends the time of day to a multicast group, whoever has joined it: the
// notes' server, mended.
//
//	node multicast/server/main.js
'use strict'
const dgram = require('node:dgram')
const os = require('node:os')
const { parseArgs } = require('node:util')

const { group, interface: name, ttl, loopback, interval, count } = parseArgs({ options: {
  group: { type: 'string', default: '230.185.192.108:8080' },
  interface: { type: 'string' },
  ttl: { type: 'string', default: '128' },
  loopback: { type: 'string', default: 'true' }, // --loopback=false
  interval: { type: 'string', default: '1s' },
  count: { type: 'string', default: '0' }
} }).values
// Node keeps 32 bits of a TTL: 4294967297 would be sent as 1. Of too long an interval it makes 1 ms.
if (!/^\d+$/.test(ttl) || ttl > 255 || !(ms(interval) > 0 && ms(interval) < 2 ** 31)) {
  console.error(`server: want a --ttl from 0 to 255 and an --interval above 0 and below 25 days, not ${ttl} ${interval}`)
  process.exit(1)
}
const [host, port] = group.split(':')
const { ifname, ip } = pick(name)

let timer
//weave:options
const socket = dgram.createSocket('udp4')
// Node makes the system's socket when it binds. Until then these options throw EBADF.
socket.bind(0, ip, () => {
  socket.setMulticastInterface(ip) // the interface by one of its addresses: Node takes no name
  socket.setMulticastTTL(+ttl)
  socket.setMulticastLoopback(loopback === 'true')
  console.log(`sending to ${group} from ${ip}:${socket.address().port} on ${ifname}, ` +
    `TTL ${ttl}, loopback ${loopback === 'true' ? 'on' : 'off'}`)
  send()
  timer = setInterval(send, ms(interval))
})
//weave:end

let sent = 0
function send () {
  const text = new Date().toLocaleString('sv') // Sweden writes 2006-01-02 15:04:05
  socket.send(text, +port, host, (err, bytes) => {
    if (closed) return // meanwhile: to look a name up takes its time
    if (err) console.error(`server: ${err.message}`) // a network that was there comes back: a sender outlives it
    else console.log(`sent ${bytes} bytes: "${text}"`)
    if (err && sent === 0) process.exitCode = 1 // more likely a mistake than a network that is down
    if (!err) sent++
    if (process.exitCode || sent > 0 && sent === +count) close()
  })
}

let closed = false
function close (then) {
  closed = true
  clearInterval(timer)
  socket.close(then)
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => close(() => console.log('closed')))
}

// pick returns the named interface, or the loopback interface if there is no
// name, and its IPv4 address.
function pick (name) {
  for (const [ifname, addresses] of Object.entries(os.networkInterfaces())) {
    const found = addresses.find((a) => a.family === 'IPv4' && (name ? ifname === name : a.internal))
    if (found) return { ifname, ip: found.address }
  }
  throw new Error(`interface ${name}: not found`)
}

// ms reads a time as Go writes it: 1m30s, 200ms.
function ms (time) {
  const unit = { h: 3600e3, m: 60e3, s: 1e3, ms: 1 }
  return [...time.matchAll(/(-?[\d.]+)(ms|[hms])/g)].reduce((sum, [, n, u]) => sum + n * unit[u], 0)
}
