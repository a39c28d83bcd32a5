// Ttl sends datagrams to a multicast group that may go more or less far: each
// router takes one from the TTL, and passes on only what has some left.
//
//	node multicast/ttl/main.js
'use strict'
const dgram = require('node:dgram')
const os = require('node:os')
const { parseArgs } = require('node:util')

const { group, interface: name, ttl: list } = parseArgs({ options: {
  group: { type: 'string', default: '230.185.192.108:8080' },
  interface: { type: 'string' },
  ttl: { type: 'string', default: '0,1,2,128' }
} }).values
const ttls = list.split(',')
if (!ttls.every((ttl) => /^\d+$/.test(ttl) && ttl < 256)) { // as many bits as the IP header has for it
  console.error(`ttl: want TTLs from 0 to 255, not ${list}`)
  process.exit(2)
}
const [host, port] = group.split(':')
const { ifname, ip } = pick(name)

const socket = dgram.createSocket('udp4')
socket.bind(0, ip, () => { // options before that fail with EBADF
  socket.setMulticastInterface(ip)
  console.log(`sending to ${group} from ${ip}:${socket.address().port} on ${ifname}`)
  send(ttls)
})

// send sends one datagram and then the rest. It waits for the callback, because the
// TTL is the socket's: what Node still had in its queue would leave with the next.
function send ([ttl, ...rest]) {
  socket.setMulticastTTL(+ttl) // not setTTL, which is for unicast
  socket.send(`TTL ${ttl}`, +port, host, (err) => {
    if (err) {
      console.error(`ttl: ${err.message}`)
      process.exitCode = 1
      return socket.close()
    }
    console.log('sent TTL', ttl)
    if (rest.length > 0) send(rest)
    else socket.close()
  })
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
