// Ttl shows how far multicast datagrams go: it sends one for each TTL.
//
//	node multicast/ttl/main.js
'use strict'
const dgram = require('node:dgram')
const os = require('node:os')
const { parseArgs } = require('node:util')

const { group, interface: name, ttl: ttls } = parseArgs({ options: {
  group: { type: 'string', default: '230.185.192.108:8080' },
  interface: { type: 'string' },
  ttl: { type: 'string', default: '0,1,2,128' }
} }).values
const [host, port] = group.split(':')
const { ifname, ip } = pick(name)

const socket = dgram.createSocket('udp4')
socket.bind(0, ip, () => {
  socket.setMulticastInterface(ip)
  console.log(`sending to ${group} from ${ip}:${socket.address().port} on ${ifname}`)
  send(ttls.split(','))
})

// send sends one and then the rest: the TTL is the socket's, not a datagram's,
// and a send may have to wait.
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
